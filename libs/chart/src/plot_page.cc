// What the page of a figure needs beside it: style for light and dark, and the script that tells values.
#include "tributary/chart/plot.h"

namespace tributary::chart {

// Colours have a contrast of 3 to 1 at least against their page, and are distinct also to most who do not see all colours; lines are dashed apart too.
std::string_view PlotStyle() {
  return R"css(
:root{--ink:#1b1f24;--faint:#57606a;--page:#fff;--panel:#f6f8fa;--grid:#d8dee4;--limit:#a40e26;
--c0:#0069a8;--c1:#b35900;--c2:#00795a;--c3:#a3478a;--c4:#5d5bd4;--c5:#c2361c;--c6:#666b00;--c7:#5b6b7b}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--faint:#a4afba;--page:#0f141a;--panel:#171d25;--grid:#303943;--limit:#ff8f87;
--c0:#5cb8f2;--c1:#f0a63a;--c2:#3ecf9e;--c3:#e794cd;--c4:#a9a7ff;--c5:#ff8a6b;--c6:#cdd34f;--c7:#a8b6c4}}
@media print{:root{--ink:#000;--faint:#333;--page:#fff;--panel:#fff;--grid:#bbb;--limit:#a40e26;
--c0:#0069a8;--c1:#b35900;--c2:#00795a;--c3:#a3478a;--c4:#5d5bd4;--c5:#c2361c;--c6:#666b00;--c7:#5b6b7b}}
.plot{margin:0;min-width:0}.plot h3{margin:0 0 .2rem;font-size:1.05rem}.plot p{margin:0 0 .5rem;color:var(--faint)}
.plot svg{display:block;width:100%;height:auto}.plot svg.narrow{display:none}
.plot text{font:13px system-ui,sans-serif;fill:var(--ink)}.plot .grid{stroke:var(--grid)}.plot .axis{stroke:var(--faint)}
.plot .limit{stroke:var(--limit);stroke-width:2;stroke-dasharray:9 5}.plot text.limit{fill:var(--limit);stroke:none;font-weight:600}
.plot .name{fill:var(--faint)}.plot .line{fill:none;stroke-width:2;stroke-linejoin:round}.plot .bar{stroke:var(--page);stroke-width:.5}
.plot .cursor{stroke:var(--ink);stroke-dasharray:3 3;visibility:hidden}
.plot .canvas{position:relative;outline-offset:3px}.plot .canvas:focus-visible{outline:2px solid var(--c0)}
.plot .tip{position:absolute;top:4px;pointer-events:none;background:var(--panel);color:var(--ink);border:1px solid var(--faint);border-radius:4px;
padding:.3rem .5rem;font-size:.85rem;white-space:pre;z-index:2;max-width:100%;overflow:hidden}
.plot .legend{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1rem;margin:0 0 .4rem;padding:0;font-size:.9rem}
.plot .legend svg{display:inline-block;width:26px;height:12px;vertical-align:-1px;margin-right:.35rem}
.l0{stroke:var(--c0)}.l1{stroke:var(--c1);stroke-dasharray:7 3}.l2{stroke:var(--c2);stroke-dasharray:2 2.5}.l3{stroke:var(--c3);stroke-dasharray:9 3 2 3}
.l4{stroke:var(--c4);stroke-dasharray:4 2}.l5{stroke:var(--c5);stroke-dasharray:12 3}.l6{stroke:var(--c6);stroke-dasharray:1.5 4}.l7{stroke:var(--c7);stroke-dasharray:6 2 1 2}
.f0{fill:var(--c0)}.f1{fill:var(--c1)}.f2{fill:var(--c2)}.f3{fill:var(--c3)}.f4{fill:var(--c4)}.f5{fill:var(--c5)}.f6{fill:var(--c6)}.f7{fill:var(--c7)}
@media(max-width:640px){.plot svg.wide{display:none}.plot svg.narrow{display:block}}
@media print{.plot{break-inside:avoid}.plot .tip,.plot .cursor{display:none}}
)css";
}

std::string_view PlotScript() {
  return R"js(
for (const figure of document.querySelectorAll('figure.plot')) {
  const source = figure.querySelector('script[type="application/json"]');
  if (!source) continue;
  const data = JSON.parse(source.textContent), canvas = figure.querySelector('.canvas'), tip = figure.querySelector('.tip');
  let now = -1;
  const shown = () => [...canvas.querySelectorAll('svg')].find(svg => svg.getBoundingClientRect().width > 0);
  const show = index => {
    const svg = shown();
    if (!svg || index < 0 || index >= data.at.length) return;
    now = index;
    const lines = [data.labels[index]];
    for (const one of data.series) if (one.values[index] !== null) lines.push(one.name + ': ' + one.values[index]);
    tip.textContent = lines.join('\n');
    tip.hidden = false;
    const left = +svg.dataset.left, right = +svg.dataset.right, width = svg.viewBox.baseVal.width, box = svg.getBoundingClientRect();
    const x = left + data.at[index] * (right - left), cursor = svg.querySelector('.cursor');
    cursor.setAttribute('x1', x); cursor.setAttribute('x2', x); cursor.style.visibility = 'visible';
    const at = x / width * box.width, room = box.width - tip.offsetWidth;
    tip.style.left = Math.max(0, Math.min(room, at + 12 + tip.offsetWidth > box.width ? at - tip.offsetWidth - 12 : at + 12)) + 'px';
  };
  const hide = () => { now = -1; tip.hidden = true; for (const c of canvas.querySelectorAll('.cursor')) c.style.visibility = 'hidden'; };
  canvas.addEventListener('pointermove', event => {
    const svg = shown();
    if (!svg) return;
    const box = svg.getBoundingClientRect(), left = +svg.dataset.left, right = +svg.dataset.right, width = svg.viewBox.baseVal.width;
    const part = ((event.clientX - box.left) / box.width * width - left) / (right - left);
    let best = 0;
    for (let i = 1; i < data.at.length; ++i) if (Math.abs(data.at[i] - part) < Math.abs(data.at[best] - part)) best = i;
    show(best);
  });
  canvas.addEventListener('pointerleave', hide);
  canvas.addEventListener('blur', hide);
  canvas.addEventListener('keydown', event => {
    const last = data.at.length - 1;
    const to = {ArrowRight: Math.min(last, now + 1), ArrowLeft: Math.max(0, now - 1), Home: 0, End: last}[event.key];
    if (event.key === 'Escape') hide();
    if (to === undefined) return;
    event.preventDefault();
    show(to);
  });
}
)js";
}

}  // namespace tributary::chart
