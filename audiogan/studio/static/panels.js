// Panels beside the pads. One is visible at a time, in place of the editor of the chosen pad.

import { element } from "./looks.js";

const find = (id) => document.getElementById(id);
const panels = new Map();

/**
 * Add a panel and its button, and return the element for its content. `shown()` is called when the panel opens,
 * and `hidden()` when it closes. Other modules open it with `openPanel(name)`.
 */
export function addPanel(name, title, { shown = () => {}, hidden = () => {} } = {}) {
  const root = element("div", { id: `panel-${name}`, class: "panel", role: "region", "aria-label": title, hidden: "" });
  const button = element("button", { id: `open-${name}`, class: "tab", "aria-expanded": "false", "aria-controls": root.id }, title);
  button.addEventListener("click", () => openPanel(root.hidden ? name : ""));
  find("panel-buttons").append(button);
  find("panels").append(root);
  panels.set(name, { root, button, shown, hidden });
  return root;
}

/** Show the panel `name` and hide the others. An empty name shows the editor of the pad. */
export function openPanel(name) {
  for (const [key, { root, button, shown, hidden }] of panels) {
    const open = key === name, was = !root.hidden;
    root.hidden = !open;
    button.setAttribute("aria-expanded", open);
    if (open && !was) shown();
    if (!open && was) hidden();
  }
  find("pad-panel").hidden = panels.has(name);
}
