// Practice mode: how a person gets into it from an error, and the sign on the canvas while it is on.
import { app } from "../../scripts/app.js";
import { el } from "./jobs/elements.js";
import { reloadForms } from "./models.js";
import { notice } from "./notices.js";
import { openSettings } from "./settings/open.js";
import { change, follow, load } from "./settings/setup.js";
import { addStyles } from "./styles.js";
import { say } from "./words.js";

/** Switch practice mode on, and offer to run the workflow in it. */
export async function startPractice() {
  if (!(await switchTo(true))) return;
  notice({
    title: say("Practice mode is on"),
    text: say("Imitated platforms on this machine answer: nothing is sent, nothing is paid."),
    actions: [[say("Run"), () => app.queuePrompt(0, 1)]],
  });
}

async function switchTo(on) {
  try {
    await change("settings", { sandbox: on || null });
    await reloadForms();
    return true;
  } catch (error) {
    notice({ tone: "bad", title: say("Practice mode"), text: error.message });
    return false;
  }
}

function sign() {
  const press = (words, onclick) => el("button.button", { type: "button", onclick }, words);
  const leave = press(say("Leave"), () => switchTo(false));
  const element = el(
    "div.practice",
    { role: "status", hidden: true },
    el("strong", {}, say("PRACTICE")),
    el("span", {}, say("nothing is sent, nothing is paid")),
    press(say("Enter a key"), () => openSettings()),
    leave,
  );
  follow(element, ({ sandbox, settings }) => {
    element.hidden = !sandbox;
    leave.hidden = settings.sandbox.source === "environment";
  });
  return element;
}

app.registerExtension({
  name: "Skyport.Practice",
  async setup() {
    addStyles("setup.css");
    document.body.append(sign());
    await load().catch(() => null);
  },
});
