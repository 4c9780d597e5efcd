/** @file The page around JavaScript clients in Node. SIGUSR2 hides it, and shows it again. */

const document = Object.assign(new EventTarget(), { hidden: false });
Object.assign(globalThis, { document, window: new EventTarget() });

process.on("SIGUSR2", () => {
  document.hidden = !document.hidden;
  document.dispatchEvent(new Event("visibilitychange"));
});
