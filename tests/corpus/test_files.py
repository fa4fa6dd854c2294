import bz2
import gzip
import io
import lzma
import tracemalloc

import pytest
import zstandard

from hierbert_tf.corpus import files
from hierbert_tf.corpus.files import list_files, read_lines, read_raw_lines
from hierbert_tf.corpus.statistics import ReadStatistics
from hierbert_tf.errors import InputError

TEXT = "One line.\nZwölf Boxkämpfer.\r\n\nlast 字"
LINES = ["One line.", "Zwölf Boxkämpfer.", "", "last 字"]

COMPRESS = {
    "a.txt": lambda data: data,
    "a.txt.gz": gzip.compress,
    "a.txt.bz2": bz2.compress,
    "a.txt.xz": lzma.compress,
    "a.txt.zst": zstandard.ZstdCompressor().compress,
}


def write(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", COMPRESS)
def test_lines_come_through_every_compression(tmp_path, name):
    statistics = ReadStatistics()
    path = write(tmp_path / name, COMPRESS[name](TEXT.encode()))
    assert list(read_lines(path, statistics)) == LINES
    assert statistics == ReadStatistics(files=1, text_bytes=len(TEXT.encode()))


@pytest.mark.parametrize("name", [name for name in COMPRESS if name != "a.txt"])
def test_magic_decides_where_the_suffix_says_nothing(tmp_path, name):
    path = write(tmp_path / "data", COMPRESS[name](TEXT.encode()))
    assert list(read_lines(path, ReadStatistics())) == LINES


@pytest.mark.parametrize("name", [name for name in COMPRESS if name != "a.txt"])
def test_truncated_file_is_named(tmp_path, name):
    data = COMPRESS[name]("".join(f"line {i * i}\n" for i in range(5000)).encode())
    path = write(tmp_path / name, data[: len(data) // 2])
    with pytest.raises(InputError, match=f"{name}' is truncated or damaged"):
        list(read_lines(path, ReadStatistics()))


@pytest.mark.parametrize("name", [name for name in COMPRESS if name != "a.txt"])
def test_damaged_file_is_named(tmp_path, name):
    data = bytearray(COMPRESS[name]("".join(f"line {i * i}\n" for i in range(50000)).encode()))
    data[20:4000] = b"\xa5" * 3980
    path = write(tmp_path / name, bytes(data))
    with pytest.raises(InputError, match=name):
        list(read_lines(path, ReadStatistics()))


@pytest.mark.parametrize("name", ["a.gz", "a.bz2", "a.xz", "a.zst"])
def test_suffix_that_promises_another_compression(tmp_path, name):
    with pytest.raises(InputError, match="is none: rename it"):
        list(read_lines(write(tmp_path / name, b"plain text"), ReadStatistics()))


def test_zstandard_of_several_frames_and_of_much_in_few_bytes(tmp_path):
    compress = zstandard.ZstdCompressor().compress
    path = write(tmp_path / "a.zst", compress(b"one\ntw") + compress(b"o\n" + b"a " * 3_000_000))
    lines = list(read_lines(path, ReadStatistics(), longest=10_000_000))
    assert lines[:2] == ["one", "two"]
    assert len(lines[2]) == 6_000_000


def test_undecodable_bytes_and_nuls_are_dropped_and_counted(tmp_path):
    statistics = ReadStatistics()
    path = write(tmp_path / "a.txt", b"caf\xe9 \xff\xfeol\xc3\xa9\nNU\0L\0\n")
    assert list(read_lines(path, statistics)) == ["caf olé", "NUL"]
    assert (statistics.undecodable_bytes, statistics.nul_bytes) == (3, 2)


def test_byte_order_mark_is_no_text(tmp_path):
    path = write(tmp_path / "a.txt", b"\xef\xbb\xbfText")
    assert list(read_lines(path, ReadStatistics())) == ["Text"]


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"%PDF-1.7", "a PDF file"),
        (b"PK\x03\x04", "a zip archive"),
        ("text".encode("utf-16"), "UTF-16 text"),
    ],
)
def test_files_that_are_no_text(tmp_path, start, kind):
    with pytest.raises(InputError, match=kind):
        list(read_lines(write(tmp_path / "a.txt", start), ReadStatistics()))


def test_long_line_is_cut_at_white_space_and_counted_once(tmp_path):
    statistics = ReadStatistics()
    path = write(tmp_path / "a.txt", b"aaa bbb ccc ddd\nshort\n" + b"x" * 25)
    lines = list(read_lines(path, statistics, longest=10))
    assert lines == ["aaa bbb ", "ccc ddd", "short", "x" * 10, "x" * 10, "x" * 5]
    assert statistics.cut_lines == 2


def test_a_cut_never_splits_a_character(tmp_path):
    statistics = ReadStatistics()
    path = write(tmp_path / "a.txt", ("字" * 20).encode())
    lines = list(read_lines(path, statistics, longest=10))
    assert "".join(lines) == "字" * 20
    assert {len(line) for line in lines} == {3, 2}
    assert statistics.undecodable_bytes == 0


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64])
def test_chunks_do_not_show(tmp_path, monkeypatch, chunk):
    text = b"ab\n\ncd ef\r\n" + b"long line of words \n" * 3 + b"\n\nend"
    path = write(tmp_path / "a.txt", text)
    whole = list(read_raw_lines(path, ReadStatistics(), longest=12))
    monkeypatch.setattr(files, "_CHUNK", chunk)
    assert list(read_raw_lines(path, ReadStatistics(), longest=12)) == whole
    assert whole[:3] == [(b"ab", True), (b"", True), (b"cd ef", True)]
    assert whole[3:5] == [(b"long line ", False), (b"of words ", True)]


def test_fifty_megabytes_without_a_line_end_stay_out_of_memory(tmp_path):
    path = tmp_path / "a.txt"
    with open(path, "wb") as file:
        for _ in range(50):
            file.write(b"word " * 200_000)
    statistics = ReadStatistics()
    tracemalloc.start()
    total = sum(len(line) for line in read_lines(path, statistics))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 50_000_000
    assert statistics.cut_lines == 1
    assert peak < 10_000_000


def test_folders_are_read_in_sorted_order_without_hidden_files(tmp_path):
    for name in ("b.txt", "a/z.txt", "a/.hidden.txt", ".git/x.txt", "a/b/c.txt", ".DS_Store"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    names = [str(path.relative_to(tmp_path)) for path in list_files(tmp_path)]
    assert names == ["a/b/c.txt", "a/z.txt", "b.txt"]
    assert list_files(tmp_path / "b.txt") == [tmp_path / "b.txt"]


def test_sources_that_are_not_there(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        list_files(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no file"):
        list_files(tmp_path / "empty")


def test_unreadable_file_is_one_sentence(tmp_path, monkeypatch):
    path = write(tmp_path / "a.txt", b"text")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(InputError, match=r"cannot read '.*a.txt': Permission denied\."):
        list(read_lines(path, ReadStatistics()))


def test_read_error_halfway_is_one_sentence(tmp_path, monkeypatch):
    class Broken(io.BytesIO):
        def read(self, *_):
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(files, "open_binary", lambda path: Broken())
    with pytest.raises(InputError, match="Input/output error"):
        list(read_lines(tmp_path / "a.txt", ReadStatistics()))
