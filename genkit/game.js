// Plays one Turing test (genkit.live.turing_game) with the pictures beside it. No library, no network.
(function () {
  var game = document.getElementById(%ID%);
  var data = JSON.parse(game.querySelector('script[type="application/json"]').textContent);
  var canvases = game.querySelectorAll("canvas");
  var a = game.querySelector(".game-a");
  var b = game.querySelector(".game-b");
  var said = game.querySelector(".game-said");
  var score = game.querySelector(".game-score");
  var tally = game.querySelector(".game-tally");
  var models = Object.keys(data.pictures).filter(function (name) { return name !== "real"; });
  var piles = {}, counts, shown;

  function deal(name) { // none comes twice before its pile is used up
    if (!(piles[name] || []).length) piles[name] = data.pictures[name].slice();
    return piles[name].splice(Math.floor(Math.random() * piles[name].length), 1)[0];
  }
  function percent(x) { return Math.round(100 * x) + " %"; }
  function pair() { return game.querySelector("input:checked").value === "two"; }

  // the interval that is valid at all times at once, 95 %: all p with P(k | n, p) >= 0.05 / (n + 1)
  function interval(k, n) {
    var edge = Math.log(0.05 / (n + 1));
    for (var i = 1; i <= k; i++) edge -= Math.log((n - k + i) / i);
    function inside(p) {
      return (k ? k * Math.log(p) : 0) + (n - k ? (n - k) * Math.log1p(-p) : 0) >= edge;
    }
    function end(from, to) { // inside at from, outside at to
      for (var i = 0; i < 60; i++) {
        var middle = (from + to) / 2;
        if (inside(middle)) from = middle; else to = middle;
      }
      return from;
    }
    return [k === 0 ? 0 : end(k / n, 0), k === n ? 1 : end(k / n, 1)];
  }

  function draw(canvas, picture) {
    var context = canvas.getContext("2d");
    var image = context.createImageData(data.side, data.side);
    for (var i = 0; i < picture.length; i++) {
      var grey = 255 - (255 * data.digits.indexOf(picture[i])) / (data.levels - 1);
      image.data.set([grey, grey, grey, 255], 4 * i);
    }
    context.putImageData(image, 0, 0);
  }

  function next() {
    var model = models[Math.floor(Math.random() * models.length)];
    var left = Math.random() < 0.5;
    var two = pair();
    shown = { model: model, real: left };
    draw(canvases[0], deal(left ? "real" : model));
    if (two) draw(canvases[1], deal(left ? model : "real"));
    canvases[1].style.display = two ? "" : "none";
    canvases[0].setAttribute("aria-label", two ? "the left picture" : "the picture to judge");
    canvases[1].setAttribute("aria-label", "the right picture");
    a.textContent = two ? "left is real" : "real";
    b.textContent = two ? "right is real" : "made";
  }

  function report() {
    var n = 0, k = 0;
    while (tally.firstChild) tally.removeChild(tally.firstChild);
    ["real"].concat(models).forEach(function (name) {
      var c = counts[name];
      n += c[1];
      k += c[0];
      var row = tally.insertRow();
      row.insertCell().textContent = name;
      row.insertCell().textContent = c[1] ? c[0] + " of " + c[1] : "–";
      row.cells[0].style.cssText = "text-align:left; padding:.1em 1em; color:#222";
      row.cells[1].style.cssText = "text-align:right; padding:.1em 1em; color:#222";
    });
    if (!n) { score.textContent = "No answer yet."; return; }
    var ends = interval(k, n);
    var text = k + " of " + n + " right, " + percent(k / n) + "; the 95 % interval is " +
      percent(ends[0]) + " to " + percent(ends[1]) + ". ";
    if (ends[0] > 0.5) text += "You are not guessing.";
    else if (ends[1] < 0.5) text += "You are not guessing: you are fooled.";
    else {
      text += "One half is inside: nothing can be concluded yet. ";
      text += "A study of fixed size needs " + data.needed.map(function (pair) {
        return pair[1] + " answers for an observer who is right " + percent(pair[0]) + " of the time";
      }).join(", ") + ".";
    }
    score.textContent = text;
  }

  function answer(first) {
    var right = first === shown.real;
    var name = !pair() && shown.real ? "real" : shown.model;
    counts[name][1] += 1;
    if (right) counts[name][0] += 1;
    var what = pair() ? "the " + (shown.real ? "left" : "right") + " one was real, the other from: " + shown.model
      : shown.real ? "it was real" : "it was made by: " + shown.model;
    said.textContent = (right ? "Right: " : "Wrong: ") + what + ".";
    report();
    next();
  }

  function start() {
    counts = { real: [0, 0] };
    models.forEach(function (name) { counts[name] = [0, 0]; });
    said.textContent = "";
    report();
    next();
  }

  a.addEventListener("click", function () { answer(true); });
  b.addEventListener("click", function () { answer(false); });
  game.querySelector(".game-again").addEventListener("click", start);
  game.querySelectorAll("input").forEach(function (input) { input.addEventListener("change", start); });
  game.addEventListener("keydown", function (event) {
    if (event.target.tagName === "INPUT") return; // there the arrows choose the kind of game
    if (event.key === "ArrowLeft") answer(true);
    else if (event.key === "ArrowRight") answer(false);
    else return;
    event.preventDefault();
  });
  start();
})();
