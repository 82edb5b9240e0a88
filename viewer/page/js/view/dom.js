// Elements from values. Text is always text: nothing that arrived is ever parsed as markup.

export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const by = (id) => document.getElementById(id);

// At most once a frame, however often it is asked for.
export function eachFrame(draw) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    // A page in the background draws no frames, but its title and counts stay true.
    const soon = document.hidden ? (run) => setTimeout(run, 500) : requestAnimationFrame;
    soon(() => {
      asked = false;
      draw();
    });
  };
}

export function copyable(text) {
  const button = h("button", { class: "copy", type: "button", "aria-label": `Copy: ${text}` }, "Copy");
  button.addEventListener("click", async () => {
    await navigator.clipboard?.writeText(text).catch(() => {});
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  return h("div", { class: "command" }, h("code", {}, text), button);
}
