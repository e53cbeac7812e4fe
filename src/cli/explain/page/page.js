"use strict";
// Everything that is shown comes from the data block, and reaches the page as text: a name in a layer can be anything.
const data = JSON.parse(document.getElementById("data").textContent);

// Eight colours that stay apart for most eyes (after Okabe and Ito), then hues.
const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b5a800", "#7d5ba6"];
const DARK_ONES = new Set(["#0072b2", "#d55e00", "#7d5ba6"]);
const colour = (layer) => COLOURS[layer - 1] ?? `hsl(${(layer * 137) % 360} 55% 65%)`;
const inkOn = (layer) => (DARK_ONES.has(colour(layer)) ? "#ffffff" : "#10151a");
// The last part of a path names a layer, unless two have the same.
const lastPart = (source) => source.split("/").findLast((part) => part) ?? source;
const isTold = new Set(data.layers.map((layer) => lastPart(layer.source))).size === data.layers.length;
// The number and what follows it stay together.
const layerName = (layer) => `${layer}:\u00a0${isTold ? lastPart(data.layers[layer - 1].source) : data.layers[layer - 1].source}`;

const element = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};
const chip = (layer) => {
  const made = element("span", { className: "chip" });
  made.style.background = colour(layer);
  return made;
};
const count = (number) => number.toLocaleString("en-US");
const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;
const bytes = (size) => {
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? size : size.toFixed(1)} ${units[unit]}`;
};

// ---- in short -----------------------------------------------------------------------------------------------------------

const unzipped = data.layers.reduce((sum, layer) => sum + layer.unzipped, 0);
const tally = (rows, key) => rows.reduce((sums, row) => sums.set(row[key], (sums.get(row[key]) ?? 0) + 1), new Map());
const severities = tally(data.findings, "severity");
const classes = tally(data.collisions, "class");

document.getElementById("told").textContent = data.runtime
  ? `Judged for ${data.runtime} on ${data.architecture}.`
  : `Judged without a runtime, for ${data.architecture}: name one with --runtime, and search orders are known.`;

const tile = (value, label, target, style = "") =>
  element("div", { className: "tile" }, element("b", { className: style, textContent: value }),
    target ? element("a", { href: target, textContent: label }) : element("span", { textContent: label }));
document.getElementById("tiles").append(
  tile(count(data.layers.length), data.layers.length === 1 ? "layer" : "layers", "#layers-title"),
  tile(count(data.files), `${data.files === 1 ? "file" : "files"} in the root`, "#tree-title"),
  tile(`${Math.round((unzipped / data.quota) * 100)} %`, "of Lambda's 250 MB", "#layers-title", unzipped >= data.quota ? "error" : ""),
  tile(count(severities.get("error") ?? 0), "would fail in the cloud", "#findings", severities.get("error") ? "error" : ""),
  tile(count(severities.get("warning") ?? 0), severities.get("warning") === 1 ? "warning" : "warnings", "#findings", severities.get("warning") ? "warning" : ""),
  tile(count(data.collisions.length - (classes.get("identical") ?? 0)), "collisions that matter", "#collisions"),
);

// ---- layers -------------------------------------------------------------------------------------------------------------

const segment = (size, whole, layer, title, isPale = false) => {
  const made = element("i", { title, className: isPale ? "pale" : "" });
  made.style.width = `${whole ? (size / whole) * 100 : 0}%`;
  made.style.background = colour(layer);
  return made;
};
const bar = (label, ...segments) => element("div", { className: "bar", role: "img", ariaLabel: label }, ...segments);

const scale = Math.max(unzipped, data.quota);
const limit = element("span", { className: "limit", title: `Lambda's limit: ${bytes(data.quota)}` });
limit.style.left = `calc(${(data.quota / scale) * 100}% - 2px)`;
document.getElementById("budget").append(element("div", { className: "row" },
  element("strong", { textContent: "All layers, unzipped" }),
  bar(`${bytes(unzipped)} of ${bytes(data.quota)}`,
    ...data.layers.map((layer, index) => segment(layer.unzipped, scale, index + 1, `${layerName(index + 1)}: ${bytes(layer.unzipped)}`)), limit),
  element("span", { className: "said", textContent: `${bytes(unzipped)} of ${bytes(data.quota)}` })));

const largest = Math.max(1, ...data.layers.map((layer) => layer.unzipped));
data.layers.forEach((layer, index) => {
  const number = index + 1;
  const gone = layer.unzipped - layer.visible;
  document.getElementById("layers").append(element("div", { className: "row" },
    element("span", { className: "name", title: layer.source }, chip(number), layerName(number)),
    bar(`${bytes(layer.visible)} visible, ${bytes(gone)} overridden`,
      segment(layer.visible, largest, number, `visible: ${bytes(layer.visible)}`),
      segment(gone, largest, number, `overridden: ${bytes(gone)}`, true)),
    element("span", { className: "said", textContent: `${bytes(layer.unzipped)}, ${plural(layer.entries, "entry", "entries")}` })));
});

// ---- the root -----------------------------------------------------------------------------------------------------------

// A node is [name, size, layer] for a file and [name, children] for a directory; sizes of directories are summed once.
const grow = ([name, second, layer], parent) => {
  const node = { name, parent, layer, size: 0, children: null };
  if (Array.isArray(second)) {
    node.children = second.map((child) => grow(child, node));
    node.size = node.children.reduce((sum, child) => sum + child.size, 0);
    node.children.sort((one, other) => other.size - one.size || (one.name < other.name ? -1 : 1));
  } else {
    node.size = second;
  }
  return node;
};
const root = grow(["/opt", data.tree], null);
const pathOf = (node) => (node.parent ? `${pathOf(node.parent)}/${node.name}` : node.name);

// Squarified treemap (Bruls, Huizing and van Wijk): rows of children along the shorter side, as square as they get.
const squarify = (children, x, y, width, height, place) => {
  let rest = children.filter((child) => child.size > 0);
  let total = rest.reduce((sum, child) => sum + child.size, 0);
  while (rest.length && width > 0 && height > 0) {
    const side = Math.min(width, height);
    const area = (width * height) / total;
    let row = 0, sum = 0, worst = Infinity;
    while (row < rest.length) {
      const next = sum + rest[row].size;
      const thickness = (next * area) / side;
      const [most, least] = [rest[0].size, rest[row].size].map((size) => (size * area) / thickness);
      const ratio = Math.max(most / thickness, thickness / least);
      if (ratio > worst) break;
      worst = ratio;
      sum = next;
      row += 1;
    }
    const thickness = (sum * area) / side;
    let along = 0;
    for (const child of rest.slice(0, row)) {
      const length = (child.size * area) / thickness;
      if (width >= height) place(child, x, y + along, thickness, length);
      else place(child, x + along, y, length, thickness);
      along += length;
    }
    if (width >= height) { x += thickness; width -= thickness; } else { y += thickness; height -= thickness; }
    rest = rest.slice(row);
    total -= sum;
  }
};

const canvas = document.getElementById("map");
const tip = document.getElementById("tip");
const dark = matchMedia("(prefers-color-scheme: dark)");
let shown = root;
let places = [];

const draw = () => {
  const ratio = devicePixelRatio || 1;
  const { width, height } = canvas.getBoundingClientRect();
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const style = getComputedStyle(document.documentElement);
  const [ground, ink, line] = ["--card", "--ink", "--line"].map((name) => style.getPropertyValue(name).trim());
  pen.fillStyle = ground;
  pen.fillRect(0, 0, width, height);
  pen.font = "12px system-ui, 'DejaVu Sans', sans-serif";
  pen.textBaseline = "middle";
  places = [];
  const label = (text, x, y, room) => {
    if (room < 30) return;
    let cut = text;
    while (cut.length > 1 && pen.measureText(cut).width > room) cut = `${cut.slice(0, -2)}…`;
    pen.fillText(cut, x, y);
  };
  const place = (node, x, y, w, h) => {
    places.push({ node, x, y, w, h });
    if (!node.children) {
      pen.fillStyle = colour(node.layer);
      pen.globalAlpha = 0.9;
      pen.fillRect(x, y, Math.max(w - 1, 0.5), Math.max(h - 1, 0.5));
      pen.globalAlpha = 1;
      pen.fillStyle = inkOn(node.layer);
      if (h > 16) label(node.name, x + 4, y + h / 2, w - 8);
      return;
    }
    const title = h > 34 && w > 44 ? 17 : 0;
    if (w > 6 && h > 6) {
      pen.strokeStyle = line;
      pen.strokeRect(x + 0.5, y + 0.5, w - 1, h - 1);
    }
    if (title) {
      pen.fillStyle = ink;
      label(node.name, x + 5, y + title / 2 + 1, w - 10);
    }
    const edge = w > 12 && h > 12 ? 2 : 0;
    squarify(node.children, x + edge, y + edge + title, w - 2 * edge, h - 2 * edge - title, place);
  };
  squarify(shown.children, 0, 0, width, height, place);
};

const under = (event) => {
  const box = canvas.getBoundingClientRect();
  const [x, y] = [event.clientX - box.left, event.clientY - box.top];
  return places.findLast((at) => x >= at.x && x < at.x + at.w && y >= at.y && y < at.y + at.h)?.node;
};
const describe = (node) => `${bytes(node.size)}${node.children ? `, ${plural(node.children.length, "child", "children")}` : `, ${layerName(node.layer)}`}`;

const look = (node) => {
  shown = node;
  const way = [];
  for (let at = node; at; at = at.parent) way.unshift(at);
  document.getElementById("crumbs").replaceChildren(...way.flatMap((at) => {
    const button = element("button", { type: "button", textContent: at.name, onclick: () => look(at) });
    if (at === node) button.setAttribute("aria-current", "true");
    return at === root ? [button] : ["/", button];
  }), ` ${describe(node)}`);
  document.getElementById("largest").replaceChildren(...node.children.slice(0, 200).map((child) => element("li", {},
    child.children
      ? element("button", { type: "button", textContent: `${child.name}/`, onclick: () => look(child) })
      : element("span", { className: "path", title: layerName(child.layer) }, chip(child.layer), child.name),
    element("span", { className: "size", textContent: bytes(child.size) }))));
  draw();
};

canvas.addEventListener("mousemove", (event) => {
  const node = under(event);
  tip.hidden = !node;
  if (!node) return;
  tip.replaceChildren(element("span", { className: "path", textContent: pathOf(node) }), element("br"), describe(node));
  tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8)}px`;
});
canvas.addEventListener("mouseleave", () => { tip.hidden = true; });
canvas.addEventListener("click", (event) => {
  // One step towards what was clicked, so that nobody gets lost.
  let node = under(event);
  while (node && node.parent !== shown) node = node.parent;
  if (node?.children) look(node);
});
addEventListener("resize", draw);
dark.addEventListener("change", draw);
look(root);

// ---- tables -------------------------------------------------------------------------------------------------------------

const PAGE = 50;
const compare = (one, other) => (typeof one === "number" && typeof other === "number"
  ? one - other : String(one ?? "").localeCompare(String(other ?? ""), "en", { numeric: true }));

// Rows are objects; a column has a title, the value to sort and filter by, and, if that is not how it looks, the cell.
const table = (id, title, none, rows, columns, choice) => {
  const section = document.getElementById(id);
  const state = { filter: "", choice: "", column: null, isDescending: false, shown: PAGE };
  const body = element("tbody");
  const told = element("p", { className: "why" });
  const more = element("button", { type: "button", className: "more" });
  const heads = columns.map((column) => element("th", { scope: "col", className: column.isNumber ? "number" : "" },
    element("button", { type: "button", textContent: column.title, onclick: () => {
      state.isDescending = state.column === column ? !state.isDescending : Boolean(column.isNumber);
      state.column = column;
      render();
    } })));
  const texts = new Map(rows.map((row) => [row, columns.map((column) => column.value(row) ?? "").join("\n").toLowerCase()]));

  const render = () => {
    let chosen = rows.filter((row) => texts.get(row).includes(state.filter) && (!state.choice || choice.value(row) === state.choice));
    if (state.column) {
      const sign = state.isDescending ? -1 : 1;
      chosen = chosen.toSorted((one, other) => sign * compare(state.column.value(one), state.column.value(other)));
    }
    heads.forEach((head, index) => {
      if (columns[index] === state.column) head.setAttribute("aria-sort", state.isDescending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    body.replaceChildren(...chosen.slice(0, state.shown).map((row) => element("tr", {}, ...columns.map((column) => {
      const cell = element("td", { className: column.isNumber ? "number" : "" });
      cell.append(...[column.cell ? column.cell(row) : String(column.value(row) ?? "")].flat());
      return cell;
    }))));
    told.textContent = chosen.length === rows.length ? plural(rows.length, "row") : `${count(chosen.length)} of ${plural(rows.length, "row")}`;
    more.hidden = chosen.length <= state.shown;
    more.textContent = `… and ${count(chosen.length - state.shown)} more`;
  };
  more.onclick = () => { state.shown += 10 * PAGE; render(); };

  const head = element("div", { className: "head" }, element("h2", { textContent: title }));
  section.append(head);
  if (!rows.length) {
    section.append(element("p", { className: "why", textContent: none }));
    return;
  }
  if (choice) {
    const values = [...new Set(rows.map(choice.value))];
    const select = element("select", { ariaLabel: choice.title, onchange: () => { state.choice = select.value; render(); } },
      element("option", { value: "", textContent: choice.title }), ...values.map((value) => element("option", { value, textContent: value })));
    head.append(select);
  }
  const search = element("input", { type: "search", placeholder: "Filter", ariaLabel: `Filter ${title.toLowerCase()}`,
    oninput: () => { state.filter = search.value.trim().toLowerCase(); state.shown = PAGE; render(); } });
  head.append(search);
  section.append(told, element("div", { className: "scroll" }, element("table", {}, element("thead", {}, element("tr", {}, ...heads)), body)), more);
  render();
};

const path = (text) => element("span", { className: "path", textContent: text ?? "" });
const layerCell = (layer) => (layer ? [chip(layer), layerName(layer)] : "the stack");
const layersCell = (layers) => layers.flatMap((layer) => [element("div", {}, chip(layer), layerName(layer))]);

table("findings", "Findings", "No rule found anything.", data.findings, [
  { title: "Severity", value: (row) => ({ error: 0, warning: 1, note: 2 })[row.severity],
    cell: (row) => element("span", { className: row.severity, textContent: row.severity }) },
  { title: "Finding", value: (row) => `${row.rule} ${row.message} ${row.help}`,
    cell: (row) => [row.message, element("small", { textContent: row.help }), element("small", { className: "path", textContent: row.rule })] },
  { title: "Path", value: (row) => row.path, cell: (row) => path(row.path) },
  { title: "Layer", value: (row) => (row.layer ? layerName(row.layer) : ""), cell: (row) => layerCell(row.layer) },
], { title: "Every severity", value: (row) => row.severity });

table("packages", "Packages", "No layer has a package that is known here.", data.packages, [
  { title: "Ecosystem", value: (row) => row.ecosystem },
  { title: "Package", value: (row) => row.name, cell: (row) => [row.name, ...(row.cure ? [element("small", { textContent: row.cure })] : [])] },
  { title: "Version", value: (row) => row.version },
  { title: "Layer", value: (row) => layerName(row.layer), cell: (row) => layerCell(row.layer) },
  { title: "Found", value: (row) => row.found,
    cell: (row) => element("span", { className: ["mixed", "one of several", "shadowed"].includes(row.found) ? "warning" : "", textContent: row.found }) },
  { title: "Files", value: (row) => row.files, cell: (row) => count(row.files), isNumber: true },
  { title: "Size", value: (row) => row.size, cell: (row) => bytes(row.size), isNumber: true },
], { title: "Every ecosystem", value: (row) => row.ecosystem });

table("collisions", "Collisions", "No two layers name the same path.", data.collisions, [
  { title: "Class", value: (row) => row.class, cell: (row) => element("span", { className: row.class === "type" ? "error" : row.class === "content" ? "warning" : "", textContent: row.class }) },
  { title: "Path", value: (row) => row.path, cell: (row) => path(row.path) },
  { title: "Winner", value: (row) => layerName(row.winner), cell: (row) => layerCell(row.winner) },
  { title: "Shadowed", value: (row) => row.shadowed.map(layerName).join(" "), cell: (row) => layersCell(row.shadowed) },
  { title: "Size", value: (row) => row.size, cell: (row) => bytes(row.size), isNumber: true },
], { title: "Every class", value: (row) => row.class });

document.getElementById("made").textContent = `Made by slashopt ${data.version}. Nothing here was fetched, and nothing is sent.`;
