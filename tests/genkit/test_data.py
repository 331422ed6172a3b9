"""Splits that never change, grey levels, all of MNIST from servers of every kind."""

import errno
import fnmatch
import hashlib
import http.server
import io
import json
import math
import os
import socket
import sys
import threading
import time
import tomllib
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import sklearn.datasets
import torch
from mutation import must_fail
from shared import F64, generator
from sklearn.datasets import _openml

import genkit.data as data

# --- digits


def test_digits_are_all_there_once():
    d = data.digits()
    assert (d.name, d.levels, d.shape) == ("digits", 17, (8, 8))
    splits = (d.train, d.validation, d.test)
    assert [s.x.shape for s in splits] == [(1077, 64), (360, 64), (360, 64)]
    assert [s.y.shape for s in splits] == [(1077,), (360,), (360,)]
    assert all(s.x.dtype == F64 and s.y.dtype == torch.int64 for s in splits)
    ours = np.concatenate([np.column_stack([s.x.numpy(), s.y.numpy()]) for s in splits])
    x, y = sklearn.datasets.load_digits(return_X_y=True)
    theirs = np.column_stack([x, y])
    assert (ours[np.lexsort(ours.T)] == theirs[np.lexsort(theirs.T)]).all()
    assert set(np.unique(ours[:, :-1])) == set(range(17))
    assert np.flatnonzero(ours[:, :-1].max(0) == 0).tolist() == [0, 32, 39]  # the constant pixels


def test_digits_are_stratified():
    d = data.digits()
    whole = np.bincount(sklearn.datasets.load_digits().target) / 1797
    for split in (d.train, d.validation, d.test):
        assert abs(split.y.bincount().numpy() - whole * len(split.y)).max() <= 1
    # shuffled: neighbours in the order have no more equal labels than chance
    repeats = (d.train.y[1:] == d.train.y[:-1]).double().mean()
    assert abs(repeats - 0.1) < 4 * math.sqrt(0.09 / 1076)


def test_digits_split_is_pinned():
    """The split of the printed book: if this fails, every number in it changes."""
    d = data.digits()
    assert hashlib.sha256(b"".join(s.x.numpy().astype(np.uint8).tobytes() for s in d[3:])).hexdigest() == (
        "b69f3315fa90a6496f132cdd1d3069d00b42810ad6c992470c906824c975e022"
    )


def test_digits_gives_tensors_of_ones_own():
    data.digits().train.x.zero_()
    assert data.digits().train.x.sum() > 0


# --- grey levels


def check_dequantise(m):
    x = torch.arange(17, dtype=F64).repeat_interleave(4000).reshape(17, 4000)
    z = m.dequantise(x, generator=generator())
    assert z.shape == x.shape and z.dtype == F64
    assert ((z * 17).floor() == x).all()  # the level can be read off: nothing is lost
    assert z.min() >= 0 and z.max() < 1
    u = (z * 17 - x).flatten()
    assert scipy.stats.kstest(u.numpy(), "uniform").pvalue > 1e-3
    assert torch.equal(m.dequantise(x, generator=generator()), z)
    assert not torch.equal(m.dequantise(x, generator=generator(1)), z)


def check_binarise(m):
    x = torch.arange(17, dtype=F64)
    assert m.binarise(x).tolist() == [0.0] * 8 + [1.0] * 9
    assert m.binarise(x, threshold=16).sum() == 1
    assert m.binarise(x.int()).dtype == torch.int32
    grey = data.digits().train.x
    assert set(m.binarise(grey).unique().tolist()) == {0.0, 1.0}


def test_dequantise_stays_below_one_in_low_precision():
    x = torch.full((200_000,), 255, dtype=torch.float32)
    z = data.dequantise(x, levels=256, generator=generator())
    assert z.dtype == torch.float32 and z.max() < 1
    assert data.dequantise(torch.tensor([3], dtype=torch.uint8)).dtype == F64
    assert data.dequantise(torch.zeros(0, 4)).shape == (0, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: data.dequantise(torch.tensor([0.5])),
            r"x must hold integers from 0 to 16, got values in \[0.5, 0.5\]",
        ),
        (lambda: data.dequantise(torch.tensor([17.0])), "x must hold integers from 0 to 16"),
        (lambda: data.dequantise(torch.tensor([-1.0])), "x must hold integers from 0 to 16"),
        (lambda: data.dequantise(torch.tensor([math.nan])), "x must hold integers from 0 to 16"),
        (lambda: data.dequantise(torch.zeros(1), levels=0), "levels must be at least 1, got 0"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


MUTANTS = [
    (check_dequantise, "((x + u) / levels)", "((x + u) / (levels - 1))"),
    (check_dequantise, "((x + u) / levels)", "((x + u - 0.5) / levels)"),
    (check_dequantise, "((x + u) / levels)", "(x / levels + u)"),
    (check_binarise, "(x >= threshold)", "(x > threshold)"),
]


@pytest.mark.parametrize("check", [check_dequantise, check_binarise], ids=lambda f: f.__name__)
def test_right(check):
    check(data)


@pytest.mark.parametrize(("check", "old", "new"), MUTANTS, ids=lambda v: getattr(v, "__name__", None))
def test_wrong_formula_is_noticed(check, old, new):
    must_fail(check, data, old, new)


# --- MNIST


def test_mnist_needs_no_network_and_is_all_there_once(monkeypatch):
    monkeypatch.setattr("socket.socket.connect", lambda *a: pytest.fail("it asks the network"))
    start = time.perf_counter()
    d = data.mnist()
    assert time.perf_counter() - start < 2  # 0.2 s on a quiet machine
    assert (d.name, d.levels, d.shape) == ("mnist", 256, (28, 28))
    assert [s.x.shape for s in d[3:]] == [(6000, 784), (2000, 784), (2000, 784)]
    assert all(s.x.dtype == torch.float32 and s.y.dtype == torch.int64 for s in d[3:])
    x, y = torch.cat([s.x for s in d[3:]]), torch.cat([s.y for s in d[3:]])
    assert y.bincount().tolist() == [1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944, 978]
    assert len({row.tobytes() for row in x.numpy()}) == 10_000
    assert (x == x.floor()).all() and x.min() == 0 and x.max() == 255
    assert abs(x.double().mean() / 255 - 0.1311258) < 1e-6
    for split in d[3:]:
        assert (split.y.bincount() - y.bincount() * len(split.y) / 10_000).abs().max() <= 1
    d.train.x.zero_()
    assert data.mnist().train.x.sum() > 0


def test_mnist_split_is_pinned():
    """The split of the printed book, as for the digits."""
    found = hashlib.sha256(b"".join(s.x.numpy().astype(np.uint8).tobytes() for s in data.mnist()[3:]))
    assert found.hexdigest() == "aab2bbd6115b17b827fadf0da9574d55fa09b2d8e858d32e7e5e157fb4ba72eb"


def test_mnist_is_small_and_says_where_it_is_from():
    folder = Path(data.__file__).parent
    assert (folder / "mnist-10000.xz").stat().st_size < 1.5e6
    assert "Attribution-ShareAlike 3.0" in (folder / "mnist-10000.txt").read_text(encoding="utf-8")


def test_every_file_of_the_package_travels_with_it():
    folder = Path(data.__file__).parent
    told = tomllib.loads((folder.parent / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    patterns = ["*.py", *told["package-data"]["genkit"]]
    names = [path.name for path in folder.iterdir() if path.is_file()]
    assert not [name for name in names if not any(fnmatch.fnmatch(name, p) for p in patterns)]


def test_a_damaged_package_is_named(monkeypatch):
    monkeypatch.setattr(data, "PACKED_SHA256", "0")
    data._mnist_packed.cache_clear()
    with pytest.raises(data.DataUnavailable, match=r"mnist-10000.xz is damaged"):
        data.mnist()


def test_splits_follow_the_key(monkeypatch):
    """tools/stability.py asks for other splits; all data sets must follow."""
    before = [f().train.x for f in (data.digits, data.mnist, data.patches)]
    monkeypatch.setattr(data, "SPLIT_KEY", data.SPLIT_KEY + 1)
    data._digits_split.cache_clear()
    after = [f().train.x for f in (data.digits, data.mnist, data.patches)]
    data._digits_split.cache_clear()
    assert all(a.shape == b.shape and not torch.equal(a, b) for a, b in zip(before, after, strict=True))


# --- patches


@pytest.mark.parametrize(
    ("size", "stride", "per_tile"), [(8, None, 64), (28, 9, 25), (64, None, 1), (np.int64(16), 24, 9)]
)
def test_patches_are_pieces_of_the_photographs(size, stride, per_tile):
    d = data.patches(size, stride=stride)
    assert (d.name, d.levels, d.shape) == ("patches", 256, (size, size))
    photographs = [
        (0.299 * p[..., 0] + 0.587 * p[..., 1] + 0.114 * p[..., 2]).round()
        for p in sklearn.datasets.load_sample_images().images
    ]
    for split, tiles in zip(d[3:], (36, 12, 12), strict=True):
        assert split.x.shape == (2 * tiles * per_tile, size * size) and split.x.dtype == torch.float32
        assert split.y.dtype == torch.int64 and split.y.bincount().tolist() == [tiles * per_tile] * 2
        for x, y in zip(split.x[:5].reshape(-1, size, size).numpy(), split.y, strict=False):
            windows = np.lib.stride_tricks.sliding_window_view(photographs[y], (size, size))
            corners = [windows[..., i, j] == x[i, j] for i in (0, -1) for j in (0, -1)]
            assert any((windows[i, j] == x).all() for i, j in np.argwhere(np.all(corners, axis=0)))


def test_patches_share_no_pixel():
    """All tiles differ, and each patch is a piece of a tile of its own split."""
    d = data.patches(64)
    tiles = [{x.numpy().tobytes() for x in split.x} for split in d[3:]]
    assert [len(t) for t in tiles] == [72, 24, 24] and not tiles[0] & tiles[1] | tiles[2] & (
        tiles[0] | tiles[1]
    )
    small = data.patches(8, stride=4)
    for tile, split in zip(d[3:], small[3:], strict=True):
        inside = np.lib.stride_tricks.sliding_window_view(tile.x.reshape(-1, 64, 64), (8, 8), axis=(1, 2))
        inside = {p.tobytes() for p in inside[:, ::4, ::4].reshape(-1, 64)}
        assert {p.numpy().tobytes() for p in split.x} == inside


def test_patches_split_is_pinned():
    found = hashlib.sha256(b"".join(s.x.numpy().astype(np.uint8).tobytes() for s in data.patches()[3:]))
    assert found.hexdigest() == "fd02a1d88ef847cdc25c4765795ea4e38778e892b962016b938429d3561e3e9d"


@pytest.mark.parametrize(
    ("size", "stride", "message"),
    [
        (0, None, "size must be from 1 to 64, got 0"),
        (65, None, "size must be from 1 to 64, got 65"),
        (8.0, None, "size must be an integer, got 8.0"),
        (True, None, "size must be an integer, got True"),
        ("8", None, "size must be an integer, got '8'"),
        (8, 0, "stride must be at least 1, got 0"),
        (8, np.bool_(True), "stride must be an integer"),
        (8, torch.tensor(True), "stride must be an integer"),
    ],
)
def test_patches_refuse(size, stride, message):
    with pytest.raises(ValueError, match=message):
        data.patches(size, stride=stride)


def test_patches_without_pillow(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match="Python Imaging Library"):
        data.patches()


# --- all of MNIST: scikit-learn's real reader and parser, real sockets, and no address but this machine's


def openml(port, rows=70, columns=784, low=0, high=256):
    """What OpenML would say of a small data set of the same form ({part of an address: bytes}); the set."""
    r = np.random.default_rng(0)
    pixels, labels = r.integers(low, high, (rows, columns)), r.integers(0, 10, rows)
    names = [f"pixel{i + 1}" for i in range(columns)]
    lines = ["@RELATION mnist_784", *(f"@ATTRIBUTE {n} real" for n in names)]
    lines += ["@ATTRIBUTE class {0,1,2,3,4,5,6,7,8,9}", "@DATA"]
    lines += [",".join(map(str, [*row, label])) for row, label in zip(pixels, labels, strict=True)]
    arff = "\n".join(lines).encode()
    flags = {"is_ignore": "false", "is_row_identifier": "false", "number_of_missing_values": "0"}
    features = [
        {"index": str(i), "name": n, "data_type": "numeric", "is_target": "false", **flags}
        for i, n in enumerate(names)
    ]
    features.append(
        {"index": str(columns), "name": "class", "data_type": "nominal", "is_target": "true", **flags}
    )
    url = f"http://127.0.0.1:{port}/data/v1/download/1/mnist_784.arff"
    description = {"name": "mnist_784", "version": "1", "status": "active", "format": "ARFF", "url": url}
    description["description"] = "A stand-in"
    description["md5_checksum"] = hashlib.md5(arff).hexdigest()
    answers = {
        "/list/": {"data": {"dataset": [{"did": "554", "status": "active", "version": "1"}]}},
        "/features/": {"data_features": {"feature": features}},
        "/qualities/": {"data_qualities": {"quality": [{"name": "NumberOfInstances", "value": f"{rows}.0"}]}},
        "/json/data/554": {"data_set_description": description},
    }
    sent = {part: json.dumps(answer).encode() for part, answer in answers.items()} | {".arff": arff}
    return sent, pixels, labels


@pytest.fixture
def server(monkeypatch):
    """Stand in for OpenML: `answers` says what to send for a part of an address, `calls` what was asked."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.calls.append(self.path)
            answer = next((a for part, a in self.server.answers.items() if part in self.path), b"{}")
            if callable(answer):
                return answer(self)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args):
            pass

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as it:
        it.daemon_threads, it.block_on_close = True, False
        it.calls, it.answers, it.over = [], {"/": b"{}"}, threading.Event()
        for name in ("_SEARCH_NAME", "_DATA_INFO", "_DATA_FEATURES", "_DATA_QUALITIES"):
            there = getattr(_openml, name).removeprefix("https://www.openml.org")
            monkeypatch.setattr(_openml, name, f"http://127.0.0.1:{it.server_port}{there}")
        monkeypatch.setattr(_openml.time, "sleep", lambda seconds: None)
        threading.Thread(target=it.serve_forever, args=(0.02,), daemon=True).start()
        yield it
        it.over.set()
        it.shutdown()


@pytest.fixture
def small(server, monkeypatch):
    """Serve 70 images, and take them for the 70 000."""
    server.answers, pixels, labels = openml(server.server_port)
    monkeypatch.setattr(data, "MNIST_COUNTS", tuple(np.bincount(labels)))
    return pixels, labels


def check_all(d, pixels, labels):
    assert (d.name, d.levels, d.shape) == ("mnist-full", 256, (28, 28))
    assert all(s.x.dtype == torch.float32 and s.y.dtype == torch.int64 for s in d[3:])
    assert (torch.cat([s.x for s in d[3:]]).numpy() == pixels).all()  # levels, not scaled, in their order
    assert (torch.cat([s.y for s in d[3:]]).numpy() == labels).all()


def test_all_of_mnist_is_read_once_and_then_kept(server, small, tmp_path, monkeypatch):
    check_all(data.mnist(full=True, cache_dir=tmp_path), *small)
    assert len(server.calls) == 5
    server.answers = {"/": b"{}"}  # from now on the cache must do
    check_all(data.mnist(full=True, cache_dir=tmp_path), *small)
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    check_all(data.mnist(full=True), *small)
    assert len(server.calls) == 5 and [p.name for p in tmp_path.iterdir()] == ["genkit-mnist.npz"]


def falls_back(cache, why, **kw):
    """`mnist(full=True)` raises in one line, and leaves nothing behind."""
    with pytest.raises(data.DataUnavailable, match=why) as e:
        data.mnist(full=True, cache_dir=cache, **kw)
    assert isinstance(e.value, RuntimeError) and "\n" not in str(e.value)
    assert "mnist() without full=True needs no network" in str(e.value)
    assert not list(cache.rglob("*.npz")) and socket.getdefaulttimeout() is None


def test_offline(monkeypatch, tmp_path, recwarn):
    def offline(request, *args, **kwargs):
        raise URLError("Name or service not known")

    monkeypatch.setattr("sklearn.datasets._openml.urlopen", offline)
    falls_back(tmp_path, r"could not be fetched .*Name or service not known")
    assert not recwarn.list


def test_a_server_that_accepts_and_says_nothing(server, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "SILENCE", 0.3)
    server.answers = {"/": lambda handler: server.over.wait(60)}
    start = time.perf_counter()
    falls_back(tmp_path, "timed out")
    assert time.perf_counter() - start < 10


def test_a_server_that_drips(server, tmp_path):
    def drip(handler):
        handler.send_response(200)
        handler.end_headers()
        while not server.over.wait(0.05):
            handler.wfile.write(b" ")

    server.answers = {"/": drip}
    start = time.perf_counter()
    falls_back(tmp_path, "not done after 0.5 s", timeout=0.5)
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize("answer", [b"{}", b"[]", b"null", b"", b"<html>", b"{" * 9])
def test_a_server_that_says_something_else(server, tmp_path, answer):
    server.answers = {"/": answer}
    falls_back(tmp_path, "could not be fetched")


@pytest.mark.parametrize("part", ["/list/", "/features/", "/qualities/", "/json/data/554", ".arff"])
@pytest.mark.parametrize("answer", [b"{}", b"[]", b"null"])
def test_a_server_that_breaks_off_in_the_middle(server, small, tmp_path, part, answer):
    server.answers = {part: answer} | {k: v for k, v in server.answers.items() if k != part}
    if part == "/qualities/" and answer == b"{}":  # scikit-learn does without them
        check_all(data.mnist(full=True, cache_dir=tmp_path), *small)
    else:
        falls_back(tmp_path, "could not be fetched")


def test_damaged_on_the_way(server, small, tmp_path):
    server.answers[".arff"] = server.answers[".arff"][:-9]
    falls_back(tmp_path, "checksum")


@pytest.mark.parametrize(("rows", "columns"), [(123, 784), (70, 64)])
def test_something_that_is_not_mnist(server, tmp_path, rows, columns):
    server.answers = openml(server.server_port, rows, columns)[0]
    falls_back(tmp_path, rf"not MNIST: images of shape \({rows}, {columns}\)")


def test_grey_levels_that_are_none(server, monkeypatch, tmp_path):
    server.answers, _, labels = openml(server.server_port, low=250, high=300)
    monkeypatch.setattr(data, "MNIST_COUNTS", tuple(np.bincount(labels)))
    falls_back(tmp_path, "grey levels are not whole numbers from 0 to 255")


def npz(**arrays):
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


BROKEN = {
    "empty": b"",
    "garbage": b"garbage" * 99,
    "cut off": npz(pixels=np.zeros((70, 784), np.uint8), labels=np.zeros(70))[:-40],
    "other keys": npz(x=np.zeros(3), labels=np.zeros(3)),
    "123 rows": npz(pixels=np.zeros((123, 784), np.uint8), labels=np.zeros(123)),
    "pickled": npz(pixels=np.array([None]), labels=np.zeros(1)),
    "other labels": npz(pixels=np.zeros((70, 784), np.uint8), labels=np.zeros(70)),
    "negative labels": npz(pixels=np.zeros((70, 784), np.uint8), labels=np.full(70, -1)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_in_the_cache(server, small, tmp_path, name):
    (tmp_path / "genkit-mnist.npz").write_bytes(BROKEN[name])
    check_all(data.mnist(full=True, cache_dir=tmp_path), *small)  # fetched anew, and mended
    server.answers = {"/": b"{}"}
    check_all(data.mnist(full=True, cache_dir=tmp_path), *small)
    (tmp_path / "genkit-mnist.npz").write_bytes(BROKEN[name])
    falls_back(tmp_path, "could not be fetched")  # and not kept where there is no network


@pytest.mark.parametrize("kind", ["read-only", "a file", "a folder in the place of the file"])
def test_a_home_that_cannot_be_written(server, small, tmp_path, kind):
    home = tmp_path / "home"
    if kind == "read-only":
        home.mkdir(mode=0o500)
        if os.access(home, os.W_OK):  # as root: there is one folder where root can't write either
            home = Path("/proc/genkit")
    elif kind == "a file":
        home.write_text("")
    else:
        (home / "genkit-mnist.npz" / "x").mkdir(parents=True)
    with pytest.warns(UserWarning, match="MNIST could not be kept, the next call fetches it again"):
        check_all(data.mnist(full=True, cache_dir=home), *small)
    server.answers = {"/": b"{}"}
    with pytest.raises(data.DataUnavailable):  # nothing was kept
        data.mnist(full=True, cache_dir=home)


def test_a_full_disk(small, tmp_path, monkeypatch):
    def full(path, **arrays):
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.warns(UserWarning, match="could not be kept, .*No space left"):
        check_all(data.mnist(full=True, cache_dir=tmp_path), *small)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("timeout", [0, -1, math.nan, math.inf, True, "9", None])
def test_bad_timeout(timeout):
    with pytest.raises(ValueError, match="timeout must be"):
        data.mnist(timeout=timeout)
