// Plays one Turing test (genkit.game.turing_game) with the pictures beside it. No library, no network.
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
  var counts, shown;

  function pick(list) { return list[Math.floor(Math.random() * list.length)]; }
  function percent(x) { return Math.round(100 * x) + " %"; }
  function pair() { return game.querySelector("input:checked").value === "two"; }

  // P(X <= k) for X ~ Binomial(n, p)
  function cdf(k, n, p) {
    if (p <= 0) return 1;
    if (p >= 1) return k >= n ? 1 : 0;
    var log = n * Math.log1p(-p), total = 0;
    for (var i = 0; i <= k; i++) {
      total += Math.exp(log);
      log += Math.log((n - i) / (i + 1)) + Math.log(p / (1 - p));
    }
    return Math.min(total, 1);
  }

  function solve(f) { // where the falling function f crosses zero on [0, 1]
    var low = 0, high = 1;
    for (var i = 0; i < 60; i++) {
      var middle = (low + high) / 2;
      if (f(middle) > 0) low = middle; else high = middle;
    }
    return (low + high) / 2;
  }

  // the exact (Clopper-Pearson) interval at 95 %
  function interval(k, n) {
    var low = k === 0 ? 0 : solve(function (p) { return cdf(k - 1, n, p) - 0.975; });
    var high = k === n ? 1 : solve(function (p) { return cdf(k, n, p) - 0.025; });
    return [low, high];
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
    var model = pick(models);
    var left = Math.random() < 0.5;
    var two = pair();
    shown = { model: model, real: left };
    var real = pick(data.pictures.real), made = pick(data.pictures[model]);
    draw(canvases[0], left ? real : made);
    draw(canvases[1], left ? made : real);
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
    var text = k + " of " + n + " right, " + percent(k / n) + "; the exact 95 % interval is " +
      percent(ends[0]) + " to " + percent(ends[1]) + ". ";
    if (ends[0] > 0.5) text += "You are not guessing.";
    else if (ends[1] < 0.5) text += "You are not guessing: you are fooled.";
    else {
      text += "One half is inside: nothing can be concluded yet. ";
      text += data.needed.map(function (pair) {
        return "To notice somebody who is right " + percent(pair[0]) + " of the time takes " + pair[1] + " trials";
      }).join("; ") + ".";
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
