"""Onlookers hear of sessions and images; one that fails does not touch the scan."""

from __future__ import annotations

import hosts

from smug_recon.scanner.onlookers import Onlooker


class Notes(Onlooker):
    """Writes down what it is told."""

    def __init__(self):
        self.heard = []

    def began(self, account):
        self.heard.append(("began", account.number, account.outcome))

    def opened(self, account, header, pipeline):
        self.heard.append(("opened", pipeline.name, header.encoding[0].reconSpace.matrixSize.x))

    def sent(self, account, image):
        self.heard.append(("sent", image.slice, account.images))

    def ended(self, account):
        self.heard.append(("ended", account.outcome, account.error))


class Broken(Onlooker):
    """Fails whatever it is told."""

    def began(self, *about):
        raise RuntimeError("an onlooker that fails")

    opened = sent = ended = began


def until_over(server):
    while server.active:
        pass


def test_an_onlooker_hears_of_a_session_in_order_and_a_broken_one_is_left_alone(start, caplog):
    server, notes = start(), Notes()
    server.house.onlookers.add(Broken())
    server.house.onlookers.add(notes)
    heard = hosts.session(server.port, hosts.fire(slices=2), slices=2)
    until_over(server)
    assert heard.ending == "close" and len(heard.images) == 2
    assert notes.heard == [
        ("began", 1, ""),
        ("opened", "smug-cartesian", 48),
        ("sent", 0, 1),
        ("sent", 1, 2),
        ("ended", "done", ""),
    ]
    assert "Broken failed when told that a session sent" in caplog.text


def test_an_onlooker_hears_why_a_session_failed(start):
    server, notes = start(), Notes()
    server.house.onlookers.add(notes)
    hosts.session(server.port, hosts.fire("other"))
    until_over(server)
    what, outcome, error = notes.heard[-1]
    assert (what, outcome) == ("ended", "failed") and "no configuration 'other'" in error


def test_the_queue_names_its_sessions_and_the_report_can_be_read_while_a_stage_runs(start, model):
    server, seen = start(), []

    class Watch(Onlooker):
        def began(self, account):
            self.account = account

    watch = Watch()
    server.house.onlookers.add(watch)

    def look():
        report = watch.account.report
        booked = report.seconds.get("network", 0.0)
        seen.append((server.house.turns.order, report.running, report.so_far()["network"] > booked))

    model.before = look
    hosts.session(server.port, hosts.fire())
    assert seen == [([1], "network", True)]
