// Keyboard. The position of a key (event.code) selects a pad, and its letter (event.key) a shortcut, so that both suit every
// keyboard layout.

import { PAD_CODES } from "./pads.js";

const find = (id) => document.getElementById(id);
const SPACE_CONTROLS = "button, a, summary, select, input[type=checkbox], input[type=radio]"; // Controls that the space key operates.
const TEXT_FIELDS = "textarea, input:not([type]), input[type=text], input[type=search], [contenteditable]";
const NUMBER = /^[0-9.,+-]$/;

/** Return the letter of a key in lower case. On layouts without Latin letters, it is the letter at this place on a US keyboard. */
const letter = ({ key, code }) => (/^[\x21-\x7e]$/.test(key) ? key.toLowerCase() : key.length === 1 ? code.replace(/^Key/, "").toLowerCase() : "");

/** Connect the keys with `studio`: choose(i), hit(i), lock(i), toggle(), attempt(work), travel("undo" or "redo"), say(text). */
export function listenToKeys(studio) {
  let on = true, tabbed = false; // `tabbed`: whether the focus was last moved by a key.
  find("keys").addEventListener("click", () => {
    on = !on;
    find("keys").setAttribute("aria-pressed", on);
    studio.say(on ? "Keys play the pads" : "Keys are off");
  });

  const writes = ({ target, key }) => target.matches?.(TEXT_FIELDS) || (target.matches?.("input[type=number]") && NUMBER.test(key));
  // Space starts the transport, unless the focus was moved to a button or a similar control by a key.
  const isTransport = (event) => event.code === "Space" && !(tabbed && document.activeElement.matches(SPACE_CONTROLS));

  const press = (event) => {
    const pad = PAD_CODES.indexOf(event.code), word = letter(event);
    if (isTransport(event) || (on && word === "p" && pad < 0)) studio.attempt(() => studio.toggle());
    else if (!on) return false;
    else if (pad >= 0 && event.shiftKey) studio.lock(pad);
    else if (pad >= 0) { studio.choose(pad); studio.hit(pad); }
    else if (word === "n") find("new-kit").click();
    else if (word === "b") find("vary").click();
    else return false;
    return true;
  };

  addEventListener("pointerdown", () => { tabbed = false; }, { capture: true });
  addEventListener("keydown", (event) => {
    if (["Tab", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"].includes(event.key)) tabbed = true;
    if (document.querySelector("dialog[open]") || event.isComposing || event.defaultPrevented) return;
    const command = (event.ctrlKey || event.metaKey) && !event.altKey, word = letter(event);
    if (command && (word === "z" || word === "y") && !event.target.matches?.(TEXT_FIELDS)) {
      studio.travel(word === "y" || event.shiftKey ? "redo" : "undo");
      event.preventDefault();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || writes(event)) return;
    if (event.key === "Enter" && event.target.matches?.("input[type=number]")) event.target.blur(); // The pad keys work again.
    if (press(event)) event.preventDefault();
  });
  addEventListener("keyup", (event) => {
    if (isTransport(event) && document.activeElement.matches(SPACE_CONTROLS)) event.preventDefault(); // Otherwise, Firefox would click the button.
  });
}
