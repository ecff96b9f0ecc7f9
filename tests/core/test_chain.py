import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci_ml.core import chain
from ci_ml.core.chain import Anchor, Book, Entry, verify
from ci_ml.core.statements import Kind, Subject, digest, statement

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


def record(number: int) -> bytes:
    return statement(Kind.VERDICT, [Subject(name="m", digest={"md5": "0"})], {"number": number}).data


def book(size: int, by: str | None = "ada") -> tuple[list[Entry], dict[str, bytes]]:
    entries: list[Entry] = []
    records = {}
    for number in range(size):
        data = record(number)
        records[digest(data)] = data
        last = entries[-1] if entries else None
        about = {"at": NOON + dt.timedelta(hours=number), "kind": Kind.VERDICT, "record": digest(data)}
        entries.append(chain.follow(last, **about, subject=f"commit {number}", by=by))
    return entries, records


def lines(entries: list[Entry]) -> list[bytes]:
    return [entry.line for entry in entries]


def numbers(problems: tuple[chain.Problem, ...]) -> set[int | None]:
    return {problem.number for problem in problems}


@given(st.integers(0, 8))
def test_a_chain_that_nobody_touched_has_no_problem(size: int) -> None:
    entries, records = book(size)
    assert verify(lines(entries), records, [Anchor(place="x", entry=one.digest) for one in entries]) == ()
    assert Book(lines=dict(enumerate(lines(entries), start=1))).ordered == tuple(entries)


@settings(deadline=None)
@given(st.integers(2, 8), st.data())
def test_every_edit_of_an_entry_is_found_and_located(size: int, data: st.DataObject) -> None:
    entries, records = book(size)
    place = data.draw(st.integers(0, size - 2))
    field, value = data.draw(
        st.sampled_from(
            [
                ("by", "eve"),
                ("subject", "another"),
                ("kind", Kind.PROMOTION),
                ("at", NOON),
                ("run_url", "http://x"),
                ("record", digest(b"x")),
                ("previous", digest(b"x")),
                ("number", size + 5),
            ]
        )
    )
    edited = entries[place].model_copy(update={field: value})
    found = lines(entries)
    found[place] = edited.line
    problems = verify(found, records)
    if edited == entries[place]:
        assert problems == ()
    else:
        assert place + 1 in numbers(problems)
        assert numbers(problems) - {None} <= {place, place + 1, place + 2}


@settings(deadline=None)
@given(st.integers(2, 6), st.data())
def test_every_changed_byte_is_found(size: int, data: st.DataObject) -> None:
    entries, records = book(size)
    found = lines(entries)
    place = data.draw(st.integers(0, size - 1))
    position = data.draw(st.integers(0, len(found[place]) - 1))
    line = bytearray(found[place])
    line[position] ^= data.draw(st.integers(1, 255))
    found[place] = bytes(line)
    # What the last entry says of itself is only held by what remembers its digest.
    anchors = [Anchor(place="the model", entry=entries[-1].digest)]
    assert verify(found, records, anchors) != ()


@settings(deadline=None)
@given(st.integers(2, 8), st.data())
def test_every_removal_is_found_and_located(size: int, data: st.DataObject) -> None:
    entries, records = book(size)
    place = data.draw(st.integers(0, size - 2))
    closed = verify([line for index, line in enumerate(lines(entries)) if index != place], records)
    assert place + 1 in numbers(closed)
    kept = {number: line for number, line in enumerate(lines(entries), start=1) if number != place + 1}
    assert place + 1 in numbers(verify(kept, records))


@given(st.integers(1, 8), st.integers(1, 8))
def test_what_is_cut_off_at_the_end_is_found_by_its_records_and_by_anchors(size: int, cut: int) -> None:
    entries, records = book(size)
    left = lines(entries)[: max(0, size - cut)]
    assert verify(left, records) != ()
    assert verify(left) == ()  # the chain cannot know
    assert verify(left, anchors=[Anchor(place="churn/3", entry=entries[-1].digest)]) != ()


@settings(deadline=None)
@given(st.integers(1, 8), st.data())
def test_every_insertion_is_found_and_located(size: int, data: st.DataObject) -> None:
    entries, records = book(size)
    place = data.draw(st.integers(0, size - 1))
    last = entries[place - 1] if place else None
    forged = chain.follow(
        last, at=NOON, kind=Kind.VERDICT, record=entries[0].record, subject="forged", by=None, run_url=None
    )
    found = lines(entries)
    found.insert(place, forged.line)
    assert place + 1 in numbers(verify(found, records))


@settings(deadline=None)
@given(st.integers(2, 8), st.data())
def test_every_other_order_is_found_and_located(size: int, data: st.DataObject) -> None:
    entries, records = book(size)
    turned = data.draw(st.permutations(lines(entries)))
    problems = verify(turned, records)
    moved = {number for number, (is_, was) in enumerate(zip(turned, lines(entries), strict=True), 1) if is_ != was}
    assert moved <= numbers(problems)


@given(st.integers(1, 8), st.integers(0, 7))
def test_a_ledger_written_anew_is_found_by_anchors(size: int, place: int) -> None:
    entries, _ = book(size)
    forged, records = book(size, by="eve")
    assert verify(lines(forged), records) == ()  # it is a chain: nothing in it contradicts it
    kept = entries[min(place, size - 1)].digest
    (problem,) = verify(lines(forged), records, [Anchor(place="churn/3 in MLflow", entry=kept)])
    assert "churn/3 in MLflow names the entry" in str(problem)


def test_records_that_are_gone_edited_or_named_by_nobody_are_found() -> None:
    entries, records = book(3)
    lost = {name: data for name, data in records.items() if name != entries[1].record}
    assert "entry 2: its record" in str(verify(lines(entries), lost)[0])
    edited = {**records, entries[2].record: record(7)}
    assert "was edited" in str(verify(lines(entries), edited)[0])
    more = {**records, digest(record(9)): record(9)}
    assert "no entry names the record" in str(verify(lines(entries), more)[0])


def test_what_no_append_does_is_found_with_its_entry() -> None:
    entries, _ = book(2)
    assert list(chain.unlike(entries)) == []
    said = {"kind": Kind.VERDICT, "subject": "commit 0"}
    late = entries[-1].at - chain.SKEW
    within = chain.follow(entries[-1], **said, at=late, record=digest(b"x"))
    early = chain.follow(within, **said, at=late - 2 * chain.SKEW, record=digest(b"y"))
    again = chain.follow(early, **said, at=early.at, record=entries[0].record)
    before, twice = chain.unlike([*entries, within, early, again])
    assert "entry 4: it says that it was entered at" in str(before)
    assert "entry 5" in str(twice)
    assert "by entry 1: ci-ml enters none twice" in str(twice)


def test_signatures_of_records_that_are_not_there_are_found() -> None:
    entries, _ = book(1)
    signed = {entries[0].record: ("1",), digest(b"x"): ("2",)}
    none, one = chain.in_order(chain.stray(entries, Book(attachments=signed)))[::-1]
    assert (none.number, one.number) == (None, 1)
    assert not list(chain.stray(entries, Book(records=dict.fromkeys(signed, "3"), attachments=signed)))


def test_an_entry_in_the_place_of_a_huge_number_is_no_work() -> None:
    entries, _ = book(1)
    problems = verify({1: entries[0].line, 99_999_999: entries[0].line})
    assert 99_999_999 in numbers(problems)
    assert len(problems) < 10


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", "Expecting"),
        (b"{}\n", "no entry"),
        (b"x" * (chain.MAX_BYTES + 1), "larger than"),
        (book(1)[0][0].line.rstrip(), "not those that ci-ml writes"),
        (book(1)[0][0].line.replace(b'"number":1', b'"number":true'), "no entry"),
        (book(1)[0][0].line.replace(b'"number":1', b'"number":0'), "no entry"),
        (book(1)[0][0].line.replace(b"+00:00", b""), "no entry"),
    ],
)
def test_what_is_no_entry_is_said_in_words(line: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        chain.read(line)
    assert numbers(verify([line])) == {1}


def test_nothing_is_read_out_of_a_broken_chain() -> None:
    entries, _ = book(3)
    for broken in ({1: entries[0].line, 3: entries[2].line}, dict(enumerate(reversed(lines(entries)), 1))):
        with pytest.raises(ValueError, match="entry"):
            assert Book(lines=broken).ordered
