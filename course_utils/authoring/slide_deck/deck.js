// Set the formulas, make each page fit, then hand over to reveal.js. Pages are measured while all of them are laid
// out (class "measuring"): reveal.js hides those that are not shown, and what is hidden has no size.

const WIDTH = 1280;
const HEIGHT = 720;
const FIGURE = { largest: 600, smallest: 500, step: 20 }; // pixels high, before the page is scaled
const GRID = { width: 1168, height: 360 }; // pixels for several pictures together, beside some text
const SCALE = { smallest: 0.5, wrap: 0.8, largest: 1.6, step: 0.02 }; // tests ask for more than that; a lecture should open all the same

/** Wrap what a page shows, so that it can be scaled as one, and leave the speaker's notes outside. */
function wrapped(page) {
  const content = document.createElement("div");
  content.className = "content";
  for (const child of [...page.childNodes]) {
    if (!(child instanceof Element && child.matches("aside.notes"))) content.append(child);
  }
  page.prepend(content);
  return content;
}

function overflows(page) {
  const content = page.firstElementChild;
  return page.offsetHeight > HEIGHT || content.scrollWidth > content.clientWidth;
}

/** Set several pictures of one output in as many columns as make them largest. */
function grid(output) {
  const images = [...output.querySelectorAll("figure img")];
  if (images.length < 2) return;
  const ratio = Math.max(...images.map((image) => image.naturalWidth / image.naturalHeight));
  const rows = (columns) => Math.ceil(images.length / columns);
  const width = (columns) => Math.min(GRID.width / columns, (GRID.height / rows(columns)) * ratio);
  const columns = images.map((_, index) => index + 1).reduce((a, b) => (width(b) > width(a) ? b : a));
  output.classList.add("grid");
  output.style.setProperty("--columns", columns);
  output.style.setProperty("--rows", rows(columns));
}

/** Make a page fit: first its figures get smaller, then all of it; say by how much in data-scale. */
function fit(page) {
  const content = wrapped(page);
  let [figure, scale] = [FIGURE.largest, 1];
  const apply = () => {
    content.style.setProperty("--figure", `${figure}px`);
    content.style.zoom = scale;
  };
  for (apply(); overflows(page) && figure > FIGURE.smallest; apply()) figure -= FIGURE.step;
  for (; overflows(page) && scale > SCALE.wrap; apply()) scale -= SCALE.step;
  if (overflows(page)) {
    content.classList.add("wrap"); // printed lines too long to be read when they fit
    scale = 1;
    for (apply(); overflows(page) && scale > SCALE.smallest; apply()) scale -= SCALE.step;
  }
  if (!content.querySelector("img")) {
    // Words, formulas and code as large as the page has room for.
    for (; !overflows(page) && scale < SCALE.largest; apply()) scale += SCALE.step;
    if (overflows(page)) scale -= SCALE.step;
    apply();
  }
  page.dataset.scale = scale.toFixed(2);
}

async function start() {
  document.documentElement.classList.add("measuring");
  await MathJax.startup.promise;
  await MathJax.typesetPromise();
  await Promise.all([...document.images].map((image) => image.decode().catch(() => {})));
  document.querySelectorAll(".jp-OutputArea-output").forEach(grid);
  document.querySelectorAll(".slides > section > section").forEach(fit);
  document.documentElement.classList.remove("measuring");
  await Reveal.initialize({
    width: WIDTH,
    height: HEIGHT,
    margin: 0,
    center: false,
    hash: true,
    slideNumber: "c/t",
    transition: "none",
    plugins: [RevealNotes],
  });
  document.documentElement.dataset.ready = "true";
}

start();
