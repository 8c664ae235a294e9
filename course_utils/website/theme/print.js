// One document of all pages, in a page that lies in the site's folder. printing.py calls these functions.
"use strict";

const ROOT = "file:///site/"; // stands for the site's folder where addresses are resolved
const ANSWER = /^Answer to question (\d+)/;

/** Fill the document with a title page, a table of contents and the pages.
 *
 * @param {{place: string, html: string}} front the site's first page
 * @param {{place: string, html: string}[]} pages in order, each with its place in the site
 * @returns {string | null} the address of MathJax, if a page has formulas
 */
function assemble(front, pages) {
  const parser = new DOMParser();
  const read = page => ({...page, document: parser.parseFromString(page.html, "text/html")});
  const [first, ...parts] = [front, ...pages].map(read);
  const prefixes = new Map(parts.map((part, number) => [part.place, `page-${number + 1}`]));
  for (const link of parts[0].document.querySelectorAll("link[rel=stylesheet]")) {
    link.href = local(link.getAttribute("href"), parts[0].place);
    document.head.append(link);
  }
  document.body.append(titlePage(first), document.createElement("nav"));
  for (const part of parts) document.body.append(article(part, prefixes));
  for (const link of document.querySelectorAll("a[href^='#']")) {
    const id = decodeURIComponent(link.getAttribute("href").slice(1));
    if (!document.getElementById(id)) link.setAttribute("href", `#${id.split("--")[0]}`);
  }
  contents(document.querySelector("body > nav"));
  const scripts = [...parts.map(part => part.document.querySelector("script[src*=tex-svg], script[src*=mathjax]"))];
  const at = scripts.findIndex(Boolean);
  return at < 0 ? null : local(scripts[at].getAttribute("src"), parts[at].place);
}

/** An address as seen from the site's folder; null if it leads elsewhere. */
function local(address, place) {
  const url = new URL(address, new URL(place, ROOT));
  return url.href.startsWith(ROOT) ? url.href.slice(ROOT.length) : null;
}

function element(name, className, ...content) {
  const made = document.createElement(name);
  made.className = className;
  made.append(...content);
  return made;
}

function titlePage({document: first, place}) {
  const page = element("section", "printed-title");
  page.append(element("p", "name", first.querySelector("article h1, h1").firstChild.textContent));
  const lead = first.querySelector("article section > p, article h1 ~ p");
  if (lead) page.append(element("p", "lead", lead.textContent));
  const picture = first.querySelector("article figure:has(img)");
  if (picture) {
    picture.querySelector("img").setAttribute("src", local(picture.querySelector("img").getAttribute("src"), place));
    page.append(document.adoptNode(picture));
  }
  return page;
}

/** A page's article: all of it open, its anchors and links those of the whole document. */
function article(part, prefixes) {
  const made = document.adoptNode(part.document.querySelector("article"));
  const prefix = prefixes.get(part.place);
  made.classList.add("printed-page");
  made.querySelectorAll("script, button, .headerlink, input, label").forEach(one => one.remove());
  for (const one of made.querySelectorAll("[id]")) {
    if (!one.closest("svg")) one.id = `${prefix}--${one.id}`;
  }
  made.id = prefix;
  for (const image of made.querySelectorAll("img")) {
    const source = image.getAttribute("src");
    if (!source.startsWith("data:")) image.src = local(source, part.place) ?? "";
    image.loading = "eager";
  }
  for (const link of made.querySelectorAll("a[href]")) {
    const address = local(link.getAttribute("href"), part.place);
    const [path, anchor] = (address ?? "").split("#");
    if (prefixes.has(path)) link.setAttribute("href", `#${prefixes.get(path)}${anchor ? `--${anchor}` : ""}`);
    else if (address !== null) link.replaceWith(...link.childNodes); // of the site, but not in this document
  }
  const answers = [...made.querySelectorAll("details")].filter(one => ANSWER.test(one.textContent.trim()));
  if (answers.length) {
    const end = element("section", "printed-answers", element("h2", "", "Answers to the quiz"));
    for (const answer of answers) {
      const summary = answer.querySelector("summary");
      const number = ANSWER.exec(summary.textContent.trim())[1];
      summary.remove();
      answer.remove();
      end.append(element("p", "", element("strong", "", `Question ${number}`)), ...answer.childNodes);
    }
    (made.querySelector("section") ?? made).append(end);
  }
  made.querySelectorAll("details").forEach(one => { one.open = true; });
  // Each colored word of code is an element of the tagged PDF: names and signs need none.
  made.querySelectorAll(".highlight pre span:is(.n, .nn, .p, .o, .w, .mi, .mf, .nb, .bp)").forEach(one => {
    one.replaceWith(...one.childNodes);
  });
  made.normalize();
  return made;
}

function contents(place) {
  place.className = "printed-contents";
  const list = document.createElement("ol");
  for (const page of document.querySelectorAll(".printed-page")) {
    const sections = document.createElement("ol");
    page.querySelectorAll("h2").forEach(heading => sections.append(line(heading)));
    const chapter = line(page.querySelector("h1"));
    chapter.append(sections);
    list.append(chapter);
  }
  place.append(element("h1", "", "Contents"), list);
}

let unnamed = 0;

function line(heading) {
  heading.id ||= `heading-${++unnamed}`;
  const words = heading.cloneNode(true);
  words.querySelectorAll("[id]").forEach(one => one.removeAttribute("id"));
  const link = element("a", "", element("span", "", ...words.childNodes), element("span", "dots"), element("span", "page"));
  link.href = `#${heading.id}`;
  return element("li", "", link);
}

/** Shrink what is still wider than the page: formulas and tables that cannot wrap. */
function fit() {
  for (const page of document.querySelectorAll(".printed-page")) {
    const right = page.getBoundingClientRect().right;
    for (const one of page.querySelectorAll("table, mjx-container[display], .cell_output svg")) {
      const box = one.getBoundingClientRect();
      const inner = one.querySelector(":scope > svg")?.getBoundingClientRect() ?? box;
      const width = Math.max(one.scrollWidth, inner.width);
      if (box.left + width > right + 1) one.style.zoom = Math.max(0.4, (right - box.left) / width);
    }
  }
}

/** Write page numbers into the table of contents, in the order of its lines. */
function number(numbers) {
  document.querySelectorAll(".printed-contents .page").forEach((place, line) => { place.textContent = numbers[line]; });
}
