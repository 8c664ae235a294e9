// Any class on eight photographs: a raw Grad-CAM map of 7 x 7 cells becomes a heat-map, a box, a table and a sentence.
// By the rules of course_utils.explain.heatmaps and course_utils.localization.box_from_heatmap.
(() => {
"use strict";
const DATA = window.EXPLORER_DATA, CLASSES = DATA.names.length, CELLS = 7, SIZE = 224, MOST_NAMES = 60;
const by = id => document.getElementById(id), ofAll = number => `${number.toLocaleString("en")} of 1,000`;
const numbers = new DataView(Uint8Array.from(atob(DATA.numbers), letter => letter.charCodeAt(0)).buffer);
const LOGITS = 2 * DATA.photos.length * CLASSES * CELLS ** 2, FREE = LOGITS + 4 * DATA.photos.length * CLASSES;
const sum = values => values.reduce((a, b) => a + b);
function half(bits) { // IEEE 754, 16 bits: sign, 5 of exponent, 10 of fraction
    const exponent = (bits >> 10) & 31, fraction = bits & 1023;
    const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
    return bits & 0x8000 ? -size : size;
}
const cellsFrom = read => Array.from({ length: CELLS ** 2 }, (_, cell) => read(cell));
const place = (photo, name) => 2 * (photo * CLASSES + name) * CELLS ** 2; // in bytes
const rawMap = (photo, name) => cellsFrom(cell => half(numbers.getUint16(place(photo, name) + 2 * cell, true)));
const freeMap = photo => cellsFrom(cell => numbers.getFloat32(FREE + 4 * (photo * CELLS ** 2 + cell), true));

function scoresOf(photo) { // logits, their softmax, and the classes from the most to the least probable
    const logits = DATA.names.map((_, name) => numbers.getFloat32(LOGITS + 4 * (photo * CLASSES + name), true));
    const most = Math.max(...logits), powers = logits.map(logit => Math.exp(logit - most));
    const ranked = [...logits.keys()].sort((a, b) => logits[b] - logits[a]), all = sum(powers);
    return { logits, chances: powers.map(power => power / all), ranked };
}

// ---------- from a raw map to a heat-map and a box
// Pixel i has its center at (i + 1/2) 7/224 - 1/2 in cells: between which two, and how far from the first.
const taps = Array.from({ length: SIZE }, (_, i) => {
    const at = Math.max(0, (i + 0.5) * CELLS / SIZE - 0.5), first = Math.floor(at);
    return { first, next: Math.min(first + 1, CELLS - 1), share: at - first };
});

function heatmap(cells) { // relu, enlarged bilinearly, divided by its maximum; all zero if nothing is positive
    const heat = new Float32Array(SIZE * SIZE), row = new Float64Array(CELLS);
    const between = (a, b, share) => (1 - share) * a + share * b;
    let most = 0;
    taps.forEach(({ first, next, share }, y) => {
        const above = x => Math.max(cells[first * CELLS + x], 0), below = x => Math.max(cells[next * CELLS + x], 0);
        for (let x = 0; x < CELLS; x++) row[x] = between(above(x), below(x), share);
        taps.forEach((tap, x) => { heat[y * SIZE + x] = between(row[tap.first], row[tap.next], tap.share); });
    });
    for (let i = 0; i < heat.length; i++) most = Math.max(most, heat[i]);
    for (let i = 0; i < heat.length && most > 0; i++) heat[i] /= most;
    return heat;
}

// [x0, y0, x1, y1], half-open, around the largest part of the pixels >= threshold that hangs together by sides or
// corners; of equally large ones the first in reading order; null for a flat map. The map gets a margin of one pixel.
const WIDE = SIZE + 2, AROUND = [-WIDE - 1, -WIDE, 1 - WIDE, -1, 1, WIDE - 1, WIDE, WIDE + 1];
function boxOf(heat, threshold) {
    let least = Infinity, most = 0, largest = 0, box = null;
    for (let i = 0; i < heat.length; i++) { least = Math.min(least, heat[i]); most = Math.max(most, heat[i]); }
    if (most - least <= 1e-5 * most) return null;
    const open = new Uint8Array(WIDE * WIDE), found = new Int32Array(SIZE * SIZE), limit = threshold * most;
    for (let i = 0; i < heat.length; i++)
        open[WIDE + 1 + i + 2 * Math.floor(i / SIZE)] = heat[i] > 0 && heat[i] >= limit;
    for (let start = open.indexOf(1); start >= 0; start = open.indexOf(1, start + 1)) {
        let x0 = SIZE, y0 = SIZE, x1 = 0, y1 = 0, count = 1;
        [found[0], open[start]] = [start, 0];
        for (let done = 0; done < count; done++) {
            const x = found[done] % WIDE - 1, y = Math.floor(found[done] / WIDE) - 1;
            x0 = Math.min(x0, x); y0 = Math.min(y0, y); x1 = Math.max(x1, x + 1); y1 = Math.max(y1, y + 1);
            for (let i = 0; i < AROUND.length; i++) {
                const next = found[done] + AROUND[i];
                if (open[next]) { open[next] = 0; found[count++] = next; }
            }
        }
        if (count > largest) [largest, box] = [count, [x0, y0, x1, y1]];
    }
    return box;
}
const area = ([x0, y0, x1, y1]) => Math.max(0, x1 - x0) * Math.max(0, y1 - y0);
const common = (a, b) => area(a.map((edge, i) => (i < 2 ? Math.max : Math.min)(edge, b[i])));
const iou = (a, b) => common(a, b) / (area(a) + area(b) - common(a, b));

// ---------- the page
const rgba = DATA.inferno.map(color => parseInt(`ff${color.slice(5)}${color.slice(3, 5)}${color.slice(1, 3)}`, 16));
const digits = chance => chance >= 0.005 ? chance.toFixed(2) : chance >= 0.0001 ? chance.toFixed(4) : "<0.0001";
const signed = (value, places = 2) => value.toFixed(places).replace(/^-(0\.0+)$/, "$1").replace("-", "−");
const tell = words => Object.entries(words).forEach(([id, text]) => { by(`ex-${id}`).textContent = text; });
const state = { photo: 0, name: 0, chosen: false }; // chosen: the class is the reader's, for all photographs
let scores, active = 0; // of the photograph; of the options in the list, the one that Enter takes
function draw(id, cells, title, shown, threshold) { // one of the two pictures; returns its box
    const figure = by(id), part = name => figure.querySelector(name), empty = !cells.some(value => value > 0);
    const heat = heatmap(cells), box = boxOf(heat, threshold);
    const picture = new ImageData(SIZE, SIZE), pixels = new Uint32Array(picture.data.buffer);
    if (!empty) heat.forEach((value, i) => { pixels[i] = rgba[Math.min(255, Math.floor(value * 256))]; });
    part("canvas").getContext("2d").putImageData(picture, 0, 0);
    figure.classList.toggle("ex-empty", empty);
    [part(".ex-none").textContent, part(".ex-title").textContent] = [`no positive evidence for ${shown}`, title];
    part("canvas").ariaLabel = `${title}: ${words(cells, box)}`;
    part(".ex-found").hidden = !box;
    const [x0, y0, x1, y1] = (box ?? [0, 0, 0, 0]).map(edge => edge / SIZE * 100);
    part(".ex-found").style.inset = `${y0}% ${100 - x1}% ${100 - y1}% ${x0}%`;
    return box;
}
function words(cells, box) { // where it is brightest, and what the box covers
    const cell = cells.indexOf(Math.max(...cells)), row = Math.floor(cell / CELLS) + 1, column = cell % CELLS + 1;
    if (cells[cell] <= 0) return "no cell of the map is positive, so there is no heat-map and no box";
    const percent = box && area(box) / SIZE ** 2 * 100, rounded = Math.min(99, Math.round(percent));
    const share = percent === 100 ? "all" : percent < 1 ? "less than 1%" : `${rounded}%`;
    const covers = box ? `the box covers ${share} of the picture` : "it marks no place";
    return `the map is brightest in row ${row}, column ${column} of 7, and ${covers}`;
}
function show() {
    const { photo, name } = state, percent = Number(by("ex-threshold").value), shown = DATA.names[name];
    const cells = rawMap(photo, name), free = freeMap(photo), chance = digits(scores.chances[name]);
    const own = draw("ex-own", cells, `${shown} ${chance}`, shown, percent / 100);
    const other = draw("ex-free", free, "class-free sum", "any class", percent / 100);
    by("ex-threshold").ariaValueText = `${percent}%`;
    const corners = box => box ? `(${box.join(", ")})` : "none", limit = Math.max(...cells.map(Math.abs)) || 1;
    tell({
        said: `${shown}, probability ${chance} (rank ${ofAll(scores.ranked.indexOf(name) + 1)}): ${words(cells, own)}.`,
        share: `${percent}%`, at: `${percent}%`, "own-box": corners(own), "free-box": corners(other),
        iou: own && other ? iou(own, other).toFixed(2) : "none", class: shown, limit: limit.toFixed(2),
        total: signed(sum(cells), 3), bias: signed(DATA.biases[name], 3), logit: signed(scores.logits[name], 3),
    });
    document.querySelectorAll(".explorer tbody td").forEach((part, cell) => {
        const [color, ink] = DATA.signed[Math.min(255, Math.floor((cells[cell] / limit + 1) * 128))];
        [part.textContent, part.style.background, part.style.color] = [signed(cells[cell]), color, ink];
    });
    [...by("ex-top").children].forEach((button, i) => { button.ariaPressed = String(scores.ranked[i] === name); });
}
function choosePhoto(photo) { // the reader's class stays; before any choice it is the most probable one
    if (document.activeElement === search) leave(); // a tap need not have taken the focus away
    [state.photo, scores] = [photo, scoresOf(photo)];
    if (!state.chosen) state.name = scores.ranked[0];
    document.querySelectorAll(".ex-picture img").forEach(image => { image.src = DATA.photos[photo].file; });
    document.querySelector("#ex-own img").alt = DATA.photos[photo].description;
    by("ex-caption").textContent = DATA.photos[photo].caption;
    by("ex-top").replaceChildren(...scores.ranked.slice(0, 5).map(name => chooser("button", name)));
    closeList(by("ex-hint").textContent);
    show();
}
function chooseClass(name) {
    [state.name, state.chosen] = [name, true];
    closeList();
    show();
}

const made = (tag, properties) => Object.assign(document.createElement(tag), properties);
function chooser(tag, name, properties) { // a button or an option: a class and its probability
    const part = made(tag, { ...properties, onclick: () => chooseClass(name) });
    part.append(`${DATA.names[name]} `, made("span", { textContent: digits(scores.chances[name]) }));
    return part;
}

// ---------- the search: a text field with a list
const search = by("ex-search"), list = by("ex-names"), LOWER = DATA.names.map(name => ` ${name.toLowerCase()}`);
function matching(text) { // the name itself, but for capitals, where a word begins so, the others; probable ones first
    const query = text.toLowerCase(), word = ` ${query}`;
    const near = name => LOWER[name].includes(query) + LOWER[name].includes(word) + (LOWER[name] === word)
        + (DATA.names[name] === text);
    const matches = scores.ranked.filter(near).sort((a, b) => near(b) - near(a));
    const meant = [4, 3, 1].map(least => matches.filter(name => near(name) >= least)).find(some => some.length === 1);
    return { matches, meant: meant?.[0], count: `${ofAll(matches.length)} names` }; // a cardigan is no Cardigan
}
function openList(text) {
    const { matches, count } = matching(text);
    list.replaceChildren(...matches.slice(0, MOST_NAMES).map(
        (name, i) => chooser("li", name, { id: `ex-name-${i}`, role: "option" })));
    tell({ hint: `${count}${matches.length > MOST_NAMES ? `, ${MOST_NAMES} of them here` : ""}.` });
    [list.hidden, search.ariaExpanded] = [!matches.length, String(matches.length > 0)];
    activate(0);
}
function closeList(said = "") {
    [list.hidden, search.ariaExpanded, search.value] = [true, "false", DATA.names[state.name]];
    search.removeAttribute("aria-activedescendant");
    tell({ hint: said });
}
function leave() { // the words in the field are taken, or it is said that they were not
    const text = search.value.trim(), { meant, count } = matching(text);
    if (!text || text === DATA.names[state.name]) closeList();
    else if (meant !== undefined) chooseClass(meant);
    else closeList(`“${text}”: ${count}, so the class stayed as it was.`);
}
function activate(index) {
    active = (index + list.children.length) % list.children.length;
    [...list.children].forEach((option, i) => { option.ariaSelected = String(i === active); });
    search.setAttribute("aria-activedescendant", list.children[active]?.id ?? "");
    list.children[active]?.scrollIntoView({ block: "nearest" });
}
search.addEventListener("input", () => openList(search.value.trim()));
search.addEventListener("click", () => { if (list.hidden) { search.select(); openList(""); } });
search.addEventListener("blur", leave);
list.addEventListener("pointerdown", event => event.preventDefault()); // the focus stays in the text field
search.addEventListener("keydown", event => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key], enter = event.key === "Enter" && !list.hidden;
    if (step || enter) event.preventDefault();
    if (step) list.hidden ? openList("") : activate(active + step);
    else if (enter) list.children[active].click();
    else if (event.key === "Escape") closeList();
});
const radios = [...document.querySelectorAll("[name=ex-photo]")];
radios.forEach((radio, photo) => radio.addEventListener("change", () => choosePhoto(photo)));
by("ex-threshold").addEventListener("input", show);
choosePhoto(radios.findIndex(radio => radio.checked));
window.explorer = { rawMap, freeMap, scoresOf, heatmap, boxOf, choosePhoto, chooseClass };
})();
