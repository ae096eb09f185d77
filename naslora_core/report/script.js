"use strict";
// The page can be read without this: it adds sorting, filters and a larger view.
(() => {
  const tools = document.querySelector(".tools");
  const list = document.querySelector(".cases");
  const cases = [...list.querySelectorAll(".case")];
  const shown = document.querySelector(".shown");
  const number = (key) => (a, b) => a.dataset[key] - b.dataset[key];
  const orders = {
    chosen: () => 0,
    lowest: number("dice"),
    highest: (a, b) => number("dice")(b, a),
    gain: (a, b) => number("gain")(b, a),
    size: number("share"),
    name: (a, b) => a.dataset.name.localeCompare(b.dataset.name, "en", { numeric: true }),
  };

  function arrange() {
    const { domain, kind, order } = Object.fromEntries(new FormData(tools));
    const fits = ({ dataset }) =>
      (!domain || dataset.domain === domain) &&
      (!kind || dataset.case === kind || (kind === "first" && dataset.first));
    list.append(...[...cases].sort(orders[order]));
    cases.forEach((figure) => { figure.hidden = !fits(figure); });
    shown.textContent = `${cases.filter(fits).length} of ${cases.length} images`;
  }
  tools.addEventListener("change", arrange);
  tools.addEventListener("submit", (event) => event.preventDefault());
  tools.elements.kind.value = "first";
  tools.hidden = false;
  arrange();

  const lens = document.querySelector(".lens");
  let current;
  const panelsOf = (figure) => [...figure.querySelectorAll(".panel")];

  function show(panel) {
    current = panel;
    const picture = panel.querySelector("svg, img").cloneNode(true);
    lens.querySelector(".view").replaceChildren(picture);
    lens.querySelector(".caption").textContent =
      `${panel.dataset.title} · ${picture.getAttribute("aria-label") ?? picture.alt}`;
    if (!lens.open) lens.showModal();
  }

  function step(across, down) {
    const figure = current.closest("figure");
    const figures = [...figure.parentElement.querySelectorAll("figure")].filter((one) => !one.hidden);
    const target = figures[figures.indexOf(figure) + down] ?? figure;
    const panels = panelsOf(target);
    const place = panelsOf(figure).indexOf(current) + across;
    show(panels[Math.min(Math.max(place, 0), panels.length - 1)]);
  }

  document.querySelectorAll(".panel").forEach((panel) => {
    const picture = panel.querySelector("svg, img");
    panel.tabIndex = 0;
    panel.setAttribute("role", "button");
    panel.setAttribute("aria-label", `Enlarge: ${picture.getAttribute("aria-label") ?? picture.alt}`);
    panel.addEventListener("click", () => show(panel));
    panel.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      show(panel);
    });
  });
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  lens.addEventListener("keydown", (event) => {
    if (!(event.key in steps)) return;
    event.preventDefault();
    step(...steps[event.key]);
  });
  lens.addEventListener("click", (event) => { if (event.target === lens) lens.close(); });
  lens.addEventListener("close", () => current.focus());
})();
