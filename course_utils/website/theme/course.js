// Folds that open by themselves when something in them is asked for, a switch for all of them, and the keyboard.
"use strict";

const DEEPER = "details.deeper-fold";
const ANSWER = /^\s*Answer to question/;
const KEPT = "course-deeper-open";

/** Open all folds around an element, and the one that belongs to its heading. */
function openAround(element) {
  for (let at = element; at; at = at.parentElement) {
    if (at.tagName === "DETAILS") at.open = true;
  }
  const section = element.closest("section");
  const own = section?.querySelector(`:scope > ${DEEPER}`);
  if (own && (section.id === element.id || element.parentElement === section)) own.open = true;
}

let settled = false; // whether formulas are set, so that nothing grows by itself any more
let held = null; // shows what the reader has asked for, until they scroll by themselves

/** Open the folds around an element and show it, however much above it still grows. */
function show(target, block) {
  openAround(target);
  const scroll = () => target.scrollIntoView({behavior: "instant", block});
  scroll();
  held = settled ? null : scroll;
}

/** Show what the address points at. */
function followAddress() {
  const name = decodeURIComponent(location.hash.slice(1));
  const target = name && document.getElementById(name);
  if (target) show(target, "start");
}

/** From a search the address points at no place: show the first word that was found. */
function followSearch() {
  const found = [...document.querySelectorAll("article .highlighted")];
  found.forEach(openAround);
  if (found.length && !location.hash && !scrollY) show(found[0], "center");
}

new ResizeObserver(() => held?.()).observe(document.querySelector("article"));
for (const sign of ["wheel", "touchstart", "pointerdown", "keydown"]) {
  addEventListener(sign, () => { held = null; }, {capture: true, passive: true});
}

/** Remember, where the browser lets us. */
function remembered(value) {
  try {
    if (value !== undefined) localStorage.setItem(KEPT, value);
    return localStorage.getItem(KEPT) === "true";
  } catch {
    return false;
  }
}

/** Put a switch above the first section that opens all deeper sections, on this and on other pages. */
function addSwitch() {
  const folds = [...document.querySelectorAll(DEEPER)];
  const first = document.querySelector("article section > section");
  if (!folds.length || !first) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "deeper-switch";
  const number = folds.length === 1 ? "1 section or exercise" : `${folds.length} sections and exercises`;
  button.textContent = `Show what is folded as deeper (${number}; on all pages)`;
  const set = open => {
    button.setAttribute("aria-pressed", open);
    folds.forEach(fold => { fold.open = open; });
  };
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-pressed") !== "true";
    remembered(open);
    set(open);
  });
  set(remembered());
  first.before(button);
}

const BOXES = ".highlight pre, .table-wrapper, .output.text_html, .output pre, div.math, mjx-container, article pre, "
  + "figure.wide > :is(a, div)";

/** Fade a box at its right edge where it goes on. */
function fade(box) {
  const more = box.scrollWidth - box.clientWidth - box.scrollLeft > 1;
  box.classList.toggle("more-right", more && getComputedStyle(box).overflowX !== "visible");
}

/** What scrolls sideways in a box of its own shows it, and can be reached and scrolled with the keyboard. */
function reachScrolling() {
  for (const box of document.querySelectorAll(BOXES)) {
    fade(box);
    if (box.scrollWidth > box.clientWidth + 1 && getComputedStyle(box).overflowX !== "visible") {
      box.tabIndex = 0;
    } else if (box.tagName !== "MJX-CONTAINER") {
      box.removeAttribute("tabindex");
    }
  }
}

/** The theme's labels of hidden boxes open lists of pages and sections: as buttons, for the keyboard, too. */
function reachLists() {
  const names = {__navigation: "List of pages", __toc: "Sections of this page"};
  for (const label of document.querySelectorAll("label[for]")) {
    const box = document.getElementById(label.htmlFor);
    if (!box?.matches(".sidebar-toggle, .toctree-checkbox") || label.matches(".overlay")) continue;
    const name = names[box.id] || box.getAttribute("aria-label");
    label.tabIndex = 0;
    label.setAttribute("role", "button");
    if (name) label.setAttribute("aria-label", name);
    label.addEventListener("keydown", event => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        box.click();
      }
    });
    const tell = () => label.setAttribute("aria-expanded", box.checked);
    box.addEventListener("change", tell);
    tell();
  }
  document.addEventListener("keydown", event => {
    const open = event.key === "Escape" && document.querySelector(".sidebar-toggle:checked");
    if (open) open.click();
  });
}

let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open]):not(.code-fold)")]
    .filter(fold => !ANSWER.test(fold.querySelector("summary").textContent)); // a printed quiz asks
  closed.forEach(fold => { fold.open = true; });
});
addEventListener("afterprint", () => closed.forEach(fold => { fold.open = false; }));

addEventListener("hashchange", followAddress);
document.addEventListener("click", event => {
  const link = event.target.closest?.("a[href^='#']");
  if (link && link.getAttribute("href") === location.hash) followAddress(); // the same again changes no address
});

addSwitch();
reachLists();
followAddress();
addEventListener("load", () => {
  followAddress();
  setTimeout(followSearch, 50); // Sphinx marks the words 10 ms after the page is read
  reachScrolling();
  Promise.resolve(window.MathJax?.startup?.promise).then(() => {
    reachScrolling();
    settled = true;
    held = null;
  });
});
addEventListener("resize", reachScrolling);
document.addEventListener("toggle", reachScrolling, true);
document.addEventListener("scroll", event => event.target.matches?.(BOXES) && fade(event.target), true);
