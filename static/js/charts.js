// Draws the figures that the server describes in JSON islands. The server says what (finops/ui/charts.py);
// colours and fonts come from the CSS tokens, so one description serves both themes.

const token = (name) => {
  const probe = document.createElement("i");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
};

const painted = (trace) => {
  const colour = token(trace.meta?.token ?? "series-1");
  if (trace.type === "bar") {
    return { ...trace, marker: { ...trace.marker, color: colour, line: { width: 0 } } };
  }
  return { ...trace, line: { ...trace.line, color: colour } };
};

const themed = (layout) => {
  const axis = {
    color: token("text-muted"), gridcolor: token("line"), zerolinecolor: token("line-strong"), fixedrange: true,
  };
  return {
    ...layout,
    dragmode: false,
    paper_bgcolor: "transparent",
    plot_bgcolor: "transparent",
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: token("text") },
    hoverlabel: { bgcolor: token("surface-raised"), bordercolor: token("line-strong") },
    xaxis: { ...axis, ...layout.xaxis },
    yaxis: { ...axis, ...layout.yaxis },
  };
};

// Where a bar leads: its own address, or its series' with the bucket's first and next day filled in.
const addressOf = ({ customdata, data, pointNumber, x }, ends) => {
  if (typeof customdata === "string") return customdata;
  return data.meta?.link?.replace("{from}", x).replace("{to}", ends?.[pointNumber]);
};

const draw = (host) => {
  const island = document.getElementById(host.dataset.chart);
  if (!island || !window.Plotly) return;
  const { data, layout } = JSON.parse(island.textContent);
  const config = { displayModeBar: false, responsive: true };
  window.Plotly.react(host, data.map(painted), themed(layout), config);
  if (!host.dataset.drawn) {
    host.dataset.drawn = "yes";
    host.on("plotly_click", ({ points: [point] }) => {
      const address = addressOf(point, layout.meta?.ends);
      if (address) window.location.assign(address);
    });
    host.classList.toggle("clickable", data.some((trace) => trace.customdata || trace.meta?.link));
  }
};

const drawAll = () => document.querySelectorAll("[data-chart]").forEach(draw);

drawAll();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
document.addEventListener("htmx:afterSettle", drawAll);
document.addEventListener("htmx:beforeCleanupElement", ({ target }) => {
  if (target.dataset?.drawn && window.Plotly) window.Plotly.purge(target);
});
