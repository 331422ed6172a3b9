// Shows the chosen frame of one slider figure (genkit.live.slider_figure). No library, no network.
(function () {
  var figure = document.getElementById(%ID%);
  var frames = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
  var slider = figure.querySelector("input");

  function show() {
    var frame = frames[+slider.value];
    figure.querySelector("g.curves").innerHTML = frame.curves;
    figure.querySelector("output").textContent = frame.label;
    figure.querySelector(".slider-note").textContent = frame.note;
    slider.setAttribute("aria-valuetext", frame.label);
  }

  slider.addEventListener("input", show);
  show();
})();
