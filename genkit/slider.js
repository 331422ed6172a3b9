// Draws one slider figure (genkit.plot.slider_figure) from the numbers beside it. No library, no network.
(function () {
  var figure = document.getElementById(%ID%);
  var data = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
  var slider = figure.querySelector("input");
  var label = figure.querySelector("output");
  var note = figure.querySelector(".slider-note");
  var curves = figure.querySelector("g.curves");
  var box = data.box; // [left, top, width, height] of the axes in the picture's own units

  function px(x) { return box[0] + ((x - data.x[0]) / (data.x[1] - data.x[0])) * box[2]; }
  function py(y) { return box[1] + box[3] - ((y - data.y[0]) / (data.y[1] - data.y[0])) * box[3]; }

  function add(name, attributes) {
    var node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (var key in attributes) node.setAttribute(key, attributes[key]);
    curves.appendChild(node);
  }

  function draw() {
    var frame = data.frames[+slider.value];
    while (curves.firstChild) curves.removeChild(curves.firstChild);
    frame.lines.forEach(function (line) {
      var color = data.colors[line.c];
      if (line.kind === "points") {
        line.x.forEach(function (x, i) {
          add("circle", { cx: px(x), cy: py(line.y[i]), r: line.r || 5, fill: color });
        });
        return;
      }
      var path = line.x.map(function (x, i) {
        return (i ? "L" : "M") + px(x).toFixed(1) + " " + py(line.y[i]).toFixed(1);
      });
      add("path", {
        d: path.join(""), fill: "none", stroke: color, "stroke-width": 2.2,
        "stroke-dasharray": line.dashed ? "6 4" : "none",
      });
    });
    label.textContent = frame.label;
    note.textContent = frame.note;
    slider.setAttribute("aria-valuetext", frame.label);
  }

  slider.addEventListener("input", draw);
  draw();
})();
