"use strict";
// What the report does by itself: it draws charts when they come into view, sorts and filters the list of slices, and
// opens what is folded before it is printed. Texts are set as text, never as markup.
(() => {
  const $ = (id) => document.getElementById(id);
  const read = (id) => JSON.parse($(id).textContent);
  const made = (name, className, text) => {
    const node = document.createElement(name);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  };

  // --- Charts ------------------------------------------------------------------------------------------------------

  const refuse = () => Promise.reject(new Error("a report loads nothing"));
  const loader = { load: refuse, sanitize: refuse, http: refuse, file: refuse };
  let specs = null;
  const drawn = new Set();

  // Vega is text until the first chart is needed: a page without one in sight does not pay for it.
  function engine() {
    if (!window.vegaEmbed) {
      const script = made("script");
      script.textContent = $("drawing").textContent;
      document.head.append(script);
    }
    return window.vegaEmbed;
  }

  async function draw(place) {
    if (drawn.has(place.id)) return;
    drawn.add(place.id);
    try {
      specs ??= read("specs");
      const spec = specs.charts[place.id];
      await engine()(place, spec, {
        mode: "vega-lite", renderer: "svg", ast: true, actions: false, defaultStyle: false, config: specs.config,
        loader, logLevel: 1, tooltip: tell,
      });
      place.querySelector("svg")?.setAttribute("aria-hidden", "true");
    } catch {
      place.replaceChildren(made("p", "quiet", "This chart cannot be drawn; its data is below."));
    }
    place.classList.add("drawn");
  }

  // The table of a chart's data is made when somebody opens it.
  const number = new Intl.NumberFormat("en", { maximumSignificantDigits: 6 });
  const MOST = 400;
  function tabulate(part) {
    if (part.childElementCount > 1) return;
    specs ??= read("specs");
    const values = specs.charts[part.dataset.chart].data.values;
    const columns = specs.columns[part.dataset.chart];
    const table = made("table", "plain");
    const head = table.createTHead().insertRow();
    const isNumber = columns.map(([, field]) => values.some((row) => typeof row[field] === "number"));
    columns.forEach(([title], index) => {
      const cell = made("th", isNumber[index] ? "number" : "", title);
      cell.scope = "col";
      head.append(cell);
    });
    const body = table.createTBody();
    for (const value of values.slice(0, MOST)) {
      const row = body.insertRow();
      columns.forEach(([, field], index) => {
        const found = value[field] ?? "";
        const text = typeof found === "object" ? JSON.stringify(found) : String(found);
        row.append(made("td", isNumber[index] ? "number" : "",
          typeof found === "number" ? number.format(found).replace("-", "\u2212") : text.slice(0, 200)));
      });
    }
    const scroll = made("div", "scroll");
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "group");
    scroll.setAttribute("aria-label", part.firstElementChild.textContent);
    scroll.append(table);
    part.append(scroll);
    if (values.length > MOST) part.append(made("p", "quiet", `and ${(values.length - MOST).toLocaleString("en")} more, in report.json`));
  }
  document.querySelectorAll("details[data-chart]").forEach((part) =>
    part.addEventListener("toggle", () => part.open && tabulate(part)));

  // A tooltip of text, in place of Vega's, which knows pictures.
  const tip = made("div", "tip");
  tip.hidden = true;
  function tell(handler, event, item, value) {
    tip.hidden = value === null || value === undefined || value === "";
    if (tip.hidden) return;
    const pairs = typeof value === "object" ? Object.entries(value) : [["", value]];
    tip.replaceChildren(...pairs.filter(([, said]) => said !== "" && said !== null).flatMap(([name, said]) => [
      made("span", "quiet", name), made("span", "", String(said)),
    ]));
    document.body.append(tip);
    const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
    tip.style.left = `${Math.max(Math.min(event.clientX + 14, room), 4)}px`;
    tip.style.top = `${Math.max(event.clientY - tip.offsetHeight - 10, 4)}px`;
  }

  const places = [...document.querySelectorAll(".chart")];
  if (places.length) {
    const seen = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        seen.unobserve(entry.target);
        draw(entry.target);
      }
    }, { rootMargin: "300px" });
    places.forEach((place) => seen.observe(place));
    // The first of them all the same, for a printer and for who scrolls fast, when nothing else is to be done.
    const waiting = places.slice(0, 40);
    const idle = (later) => (window.requestIdleCallback ?? setTimeout)(later, window.requestIdleCallback ? { timeout: 2000 } : 200);
    const step = () => {
      const next = waiting.find((place) => !drawn.has(place.id));
      if (next) draw(next).then(() => idle(step));
    };
    addEventListener("load", () => setTimeout(() => idle(step), 1500));
  }

  // --- The list of slices ------------------------------------------------------------------------------------------

  const PAGE = 50;

  function explorer(data) {
    const at = Object.fromEntries(data.fields.map((name, index) => [name, index]));
    const table = $("all");
    const body = table.tBodies[0];
    const heads = [...table.querySelectorAll("th[data-key]")];
    const text = $("filter-text");
    const metric = $("filter-metric");
    const sorting = $("filter-sort");
    const state = { key: "loss", down: false, marks: new Set(), page: 0 };
    const original = data.rows;
    let sorted = original;
    let shown = original;
    let words = null;

    data.metrics.forEach((name, index) => metric.append(new Option(name, index)));
    heads.forEach((head) => sorting.append(new Option(head.textContent.trim(), head.dataset.key)));

    // Statuses that the list has, each with how many there are.
    const counts = new Map();
    for (const row of original) counts.set(row[at.mark], (counts.get(row[at.mark]) ?? 0) + 1);
    for (const [index, count] of counts) {
      const [kind, symbol, word] = data.marks[index];
      const label = made("label", `chip ${kind}`);
      const box = made("input");
      box.type = "checkbox";
      box.value = index;
      box.addEventListener("change", () => {
        box.checked ? state.marks.add(index) : state.marks.delete(index);
        filter();
      });
      const dot = made("span", `dot ${kind}`, symbol);
      dot.setAttribute("aria-hidden", "true");
      label.append(box, dot, ` ${word} `, made("span", "quiet", count.toLocaleString("en")));
      $("filter-marks").append(label);
    }

    function badge(row) {
      const [kind, symbol, word] = data.marks[row[at.mark]];
      const node = made("span", `badge ${kind}`);
      const sign = made("span", "", symbol);
      sign.setAttribute("aria-hidden", "true");
      node.append(sign, made("span", "word", word));
      return node;
    }

    const SVG = "http://www.w3.org/2000/svg";
    function shape(name, attributes) {
      const node = document.createElementNS(SVG, name);
      for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
      return node;
    }
    // As the macro `forest` of the template draws it.
    function forest(plot, kind) {
      const [x, beyond, margin, low, high, left, right] = plot;
      const svg = shape("svg", { class: `forest ${kind}`, "aria-hidden": "true" });
      const line = (name, from, to, top, bottom) =>
        svg.append(shape("line", { class: name, x1: `${from}%`, x2: `${to}%`, y1: top, y2: bottom }));
      const path = (name, d, end) => {
        const node = shape("path", { class: name, d });
        if (!end) return svg.append(node);
        const moved = shape("svg", { x: "100%", overflow: "visible" });
        moved.append(node);
        svg.append(moved);
      };
      if (margin) {
        svg.append(shape("rect", { class: "harm", x: 0, width: "25%", height: "100%" }));
        line("edge", 25, 25, 0, "100%");
      }
      line("zero", 50, 50, 0, "100%");
      if (low !== undefined) {
        line("bar", low, high, 9, 9);
        left ? path("end", "M7 5L1 9L7 13") : line("bar", low, low, 5, 13);
        right ? path("end", "M-7 5L-1 9L-7 13", true) : line("bar", high, high, 5, 13);
      }
      if (beyond < 0) path("far", "M9 4L1 9L9 14Z");
      else if (beyond > 0) path("far", "M-9 4L-1 9L-9 14Z", true);
      else svg.append(shape("circle", { cx: `${x}%`, cy: 9, r: 4 }));
      return svg;
    }

    const LABELS = { base: "base", head: "head", n: "n", p: "p" };  // which narrow screens show
    function line(row) {
      const kind = data.marks[row[at.mark]][0];
      const node = made("tr", kind);
      node.setAttribute("role", "row");
      const cell = (className, content, role = "cell") => {
        const found = made(role === "rowheader" ? "th" : "td", className);
        found.setAttribute("role", role);
        if (role === "rowheader") found.scope = "row";
        const label = LABELS[className.split(" ").pop()];
        if (label && content) found.dataset.label = label;
        content instanceof Node ? found.append(content) : (found.textContent = content);
        node.append(found);
      };
      cell("sign", badge(row));
      const name = made("code");
      data.metrics[row[at.metric]].split(/(?<=[/:._])(?=[^/:._])/).forEach((part, index) => {
        if (index) name.append(made("wbr"));
        name.append(part);
      });
      cell("what", name, "rowheader");
      cell("part", row[at.where] || "everything");
      cell("number base", row[at.base]);
      cell("number head", row[at.head]);
      cell("number change", row[at.change]);
      cell("interval", row[at.interval]);
      cell("plot", row[at.plot] ? forest(row[at.plot], kind) : "");
      cell("number n", row[at.n]);
      cell("number p", row[at.p]);
      return node;
    }

    function render() {
      const pages = Math.max(Math.ceil(shown.length / PAGE), 1);
      state.page = Math.min(Math.max(state.page, 0), pages - 1);
      const first = state.page * PAGE;
      const rows = shown.slice(first, first + PAGE);
      body.replaceChildren(...rows.map(line));
      const all = original.length.toLocaleString("en");
      $("found").textContent = shown.length === original.length
        ? `${all} rows` : `${shown.length.toLocaleString("en")} of ${all} rows`;
      const bar = $("pages");
      bar.hidden = pages === 1;
      bar.children[0].disabled = state.page === 0;
      bar.children[1].textContent = `${(first + 1).toLocaleString("en")} to ${(first + rows.length).toLocaleString("en")}`;
      bar.children[2].disabled = state.page === pages - 1;
    }

    function filter() {
      const wanted = text.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
      if (wanted.length && !words) {
        words = new Map(original.map((row) => [
          row, `${data.metrics[row[at.metric]]} ${row[at.where]} ${data.marks[row[at.mark]][2]}`.toLowerCase(),
        ]));
      }
      shown = sorted.filter((row) =>
        (metric.value === "" || row[at.metric] === Number(metric.value)) &&
        (!state.marks.size || state.marks.has(row[at.mark])) &&
        wanted.every((word) => words.get(row).includes(word)));
      state.page = 0;
      render();
    }

    const order = new Intl.Collator("en", { numeric: true });
    function value(row, key) {
      if (key === "metric") return data.metrics[row[at.metric]];
      return row[at[key]];
    }
    // By status is the order of the report, harm first; what has no value comes last either way.
    function sort() {
      sorted = original;
      if (state.key === "loss") sorted = state.down ? [...original].reverse() : original;
      else {
        const way = state.down ? -1 : 1;
        sorted = [...original].sort((one, other) => {
          const [a, b] = [value(one, state.key), value(other, state.key)];
          if (a === null || b === null) return (a === null) - (b === null);
          return way * (typeof a === "string" ? order.compare(a, b) : a - b);
        });
      }
      for (const head of heads) {
        const chosen = head.dataset.key === state.key;
        chosen ? head.setAttribute("aria-sort", state.down ? "descending" : "ascending") : head.removeAttribute("aria-sort");
      }
      sorting.value = state.key;
      filter();
    }

    heads.forEach((head) => head.querySelector("button").addEventListener("click", () => {
      const key = head.dataset.key;
      state.down = state.key === key && !state.down;
      state.key = key;
      sort();
    }));
    sorting.addEventListener("change", () => {
      state.key = sorting.value;
      state.down = false;
      sort();
    });
    text.addEventListener("input", filter);
    metric.addEventListener("change", filter);
    text.form.addEventListener("submit", (event) => event.preventDefault());
    $("pages").addEventListener("click", (event) => {
      const step = Number(event.target.dataset?.step ?? 0);
      if (!step) return;
      state.page += step;
      render();
      table.scrollIntoView({ block: "start" });
    });
    document.querySelectorAll("a[data-metric]").forEach((link) => link.addEventListener("click", () => {
      metric.value = link.dataset.metric;
      filter();
    }));
    table.hidden = false;
    sort();
  }

  if ($("explored")) explorer(read("explored"));

  // --- Printing ----------------------------------------------------------------------------------------------------

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((part) => {
      if (part.dataset.chart) tabulate(part);
      part.open = true;
    });
  });
  addEventListener("afterprint", () => closed.forEach((part) => (part.open = false)));

  // --- Where we are, in the contents -------------------------------------------------------------------------------

  const links = new Map([...document.querySelectorAll(".contents > ul > li > a")].map((link) => [link.hash.slice(1), link]));
  const reading = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      links.forEach((link) => link.removeAttribute("aria-current"));
      links.get(target.id)?.setAttribute("aria-current", "location");
    }
  }, { rootMargin: "-10% 0px -80% 0px" });
  document.querySelectorAll("main > section").forEach((section) => reading.observe(section));

  performance.mark("ci-ml:ready");
  document.documentElement.dataset.ready = Math.round(performance.now());
})();
