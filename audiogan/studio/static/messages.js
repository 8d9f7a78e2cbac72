// Messages of a page, shown in the element with the id "says".

import { visible } from "./looks.js";

export class Messages {
  /** Show a message and announce it to screen readers. */
  say(text, wrong = false) {
    const says = document.getElementById("says");
    says.textContent = visible(text);
    says.className = `says shown${wrong ? " wrong" : ""}`;
    clearTimeout(this.saying);
    this.saying = setTimeout(() => says.classList.remove("shown"), wrong ? 9000 : 2600);
  }

  /** Run a task and show its error message if it fails. */
  async attempt(work) {
    try {
      return await work();
    } catch (error) {
      this.say(error.message, true);
      return undefined;
    }
  }
}
