"""Launch queues over the W&B server of the tests: found, sent to, followed, taken from."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from support.wandb_api.server import TEAM, WandbServer, serve
from support.wandb_queue import Hand, make_queue, queued

from launch_action.core.errors import InputError, ServiceError, UnansweredError
from launch_action.core.queue_plan import QueueItem
from launch_action.core.queued_run import Item, RunFacts
from launch_action.launches.followed_run import Followed, Patience
from launch_action.launches.queue_item import push
from launch_action.launches.queue_recall import given_up, take_back
from launch_action.launches.queue_wait import follow
from launch_action.report import PlainSink, Report
from launch_action.wandb.account import find_account
from launch_action.wandb.queues import WandbQueues
from launch_action.wandb.server import Server

QUICK = Patience(
    first=0.02, most=0.05, fault=5.0, refusal=1.0, gone=0.3, release=0.3, hurry=0.3, evidence=0.3
)
SPEC: dict[str, Any] = {"job": "acme/demo/train:v0", "entity": TEAM, "project": "demo"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WandbServer]:
    with serve(tmp_path / "wandb") as running:
        make_queue(running, "gpu", variables={"gpus": {"type": "integer", "default": 1}})
        yield running


def connected(server: WandbServer, entity: str = TEAM) -> WandbQueues:
    account = find_account(server.environment, Path())
    return WandbQueues(Server(account.base_url, account.key, {}, attempts=1), account, entity)


@dataclass
class Bench:
    """A queued run that is followed in a thread, with what was told of it."""

    server: WandbServer
    path: Path
    patience: Patience = QUICK
    run_id: str = "abcdefgh1234"
    told: dict[str, Any] = field(default_factory=dict)
    log: list[bytes] = field(default_factory=list)
    result: Any = None
    error: BaseException | None = None

    def __post_init__(self) -> None:
        queues = connected(self.server)
        item = QueueItem(queue=queues.open("gpu"), spec={**SPEC, "run_id": self.run_id})
        self.report = self.path / "report.txt"
        self.stream = self.report.open("w")
        followed = Followed(queues, item, "", Report(PlainSink(self.stream)), self.patience)
        self.followed = replace(followed, identifier=push(followed))
        self.hand = Hand(self.server, "gpu")

    def start(self, timeout: float | None = None) -> threading.Thread:
        def work() -> None:
            try:
                self.result = follow(self.followed, timeout, self.told.update, self.log.append)
            except BaseException as error:
                self.error = error

        thread = threading.Thread(target=work)
        thread.start()
        return thread

    def saw(self, text: str) -> None:
        wait_for(lambda: text in self.report.read_text())


def wait_for(what: Callable[[], Any], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, what
        time.sleep(0.01)


@pytest.fixture
def bench(server: WandbServer, tmp_path: Path) -> Bench:
    return Bench(server, tmp_path)


def test_a_queue_has_its_resource_and_its_variables(server: WandbServer) -> None:
    make_queue(server, "box", "local-container", priorities=True)
    queues = connected(server)

    gpu, box = queues.open("gpu"), queues.open("box")

    assert (gpu.resource, gpu.prioritized, gpu.entity) == ("kubernetes", False, TEAM)
    assert [one.name for one in gpu.variables] == ["gpus"]
    assert (box.resource, box.prioritized, box.variables) == ("local-container", True, ())


def test_an_unknown_queue_has_the_nearest_names(server: WandbServer) -> None:
    with pytest.raises(InputError) as caught:
        connected(server).open("gpus")

    assert "'acme' has no queue 'gpus'" in caught.value.message
    assert "did you mean gpu" in caught.value.hint


@pytest.mark.parametrize("entity", ["nobody", "other"])
def test_an_entity_without_queues_is_told_apart_from_a_fault(
    server: WandbServer, entity: str
) -> None:
    with pytest.raises(InputError, match=f"'{entity}' has no queue 'gpu'"):
        connected(server, entity).open("gpu")


def test_a_run_is_followed_through_all_its_stages(bench: Bench) -> None:
    thread = bench.start()
    bench.saw("waits in queue 'gpu'")
    item = bench.hand.pop()
    assert item
    bench.saw("was taken by an agent")
    bench.hand.claim(item)
    bench.hand.run(item)
    bench.saw("is running as")
    summary = {"loss": 0.5, "_step": 3, "_wandb": {"runtime": 1}, "image": [1]}
    bench.hand.run(item, "finished", summary=summary)
    thread.join(10)

    assert bench.result.status == "succeeded"
    assert bench.told == {"run_status": "succeeded", "metrics": {"loss": 0.5}}
    words = [line for line in bench.report.read_text().splitlines() if "abcdefgh1234" in line]
    assert words[-1] == "run abcdefgh1234 succeeded"
    assert len(words) == 4, words


def test_the_last_lines_of_a_failed_run_are_told(bench: Bench) -> None:
    item = bench.hand.pop()
    assert item
    bench.hand.claim(item)
    bench.hand.run(item, "failed", lines=[f"line {i}\n" for i in range(100)] + ["ValueError: x\n"])
    bench.start().join(10)

    assert bench.result.status == "failed"
    assert bench.log[-2:] == [b"line 99\n", b"ValueError: x\n"]
    assert len(bench.log) == 40


@pytest.mark.parametrize(
    ("state", "status"), [("crashed", "failed"), ("killed", "cancelled"), ("preempted", "failed")]
)
def test_a_run_that_did_not_finish_well_fails_by_its_state(
    bench: Bench, state: str, status: str
) -> None:
    item = bench.hand.pop()
    assert item
    bench.hand.claim(item)
    bench.hand.run(item, state)
    bench.start().join(10)

    assert (bench.result.status, bench.result.exit_code) == (status, 1)


def test_a_preempted_run_that_is_put_back_is_followed_on(bench: Bench) -> None:
    item = bench.hand.pop()
    assert item
    bench.hand.claim(item)
    bench.hand.run(item, "preempted")
    thread = bench.start()
    again = replace(bench.followed.item)
    bench.followed.queues.push(again)
    time.sleep(0.1)
    second = bench.hand.pop()
    assert second
    bench.hand.run(second, "running")
    bench.saw("is running as")
    bench.hand.run(second, "finished")
    thread.join(10)

    assert bench.result.status == "succeeded"


def test_an_item_that_its_agent_fails_is_told_in_the_agents_words(bench: Bench) -> None:
    item = bench.hand.pop()
    assert item
    bench.hand.fail(item, "ImagePullBackOff: no such image")
    bench.start().join(10)

    assert bench.result.status == "failed"
    assert "the agent says (run): ImagePullBackOff: no such image" in bench.report.read_text()


def test_an_item_that_somebody_removes_is_a_cancelled_run(bench: Bench) -> None:
    thread = bench.start()
    bench.saw("waits in queue")
    bench.followed.queues.remove(bench.followed.item.queue, bench.followed.identifier)
    thread.join(10)

    assert (bench.result.status, bench.result.exit_code) == ("cancelled", 1)
    assert "was taken off the queue by somebody" in bench.report.read_text()


def test_a_timeout_takes_a_waiting_item_off_its_queue(bench: Bench) -> None:
    bench.start(timeout=0.3).join(10)

    assert bench.result.status == "timeout"
    assert queued(bench.server, "gpu") == []


def test_a_timeout_stops_a_run(bench: Bench) -> None:
    item = bench.hand.pop()
    assert item
    bench.hand.claim(item)
    bench.hand.run(item)
    bench.start(timeout=0.3).join(10)

    assert bench.result.status == "timeout"
    assert bench.server.runs("acme/demo")[0]["stopped"]


def test_a_run_that_begins_while_its_item_is_taken_back_is_stopped(bench: Bench) -> None:
    bench = Bench(bench.server, bench.path, replace(QUICK, release=5.0), "secondrun000")
    bench.hand.pop()
    item = bench.hand.pop()
    assert item
    bench.hand.claim(item)
    thread = bench.start(timeout=0.1)
    wait_for(lambda: len(queued(bench.server, "gpu")) == 1)
    bench.hand.run(item)
    thread.join(10)

    assert bench.result.status == "timeout"
    assert bench.server.runs("acme/demo")[0]["stopped"]


def test_what_stays_for_long_where_it_is_is_told_once(bench: Bench) -> None:
    bench.followed = replace(bench.followed, patience=replace(QUICK, waits=0.1, begins=0.1))
    thread = bench.start()
    bench.saw("is one at work for queue 'gpu'?")
    item = bench.hand.pop()
    assert item
    bench.saw("is that agent still there?")
    time.sleep(0.3)
    bench.hand.run(item, "finished")
    thread.join(10)

    assert bench.report.read_text().count("at work for") == 1
    assert bench.report.read_text().count("still there?") == 1


@pytest.mark.parametrize("how", [{"status": 500}, {"status": 429}, {"status": 503}, {"status": 0}])
def test_faults_while_waiting_are_outlasted(bench: Bench, how: dict[str, Any]) -> None:
    thread = bench.start()
    bench.saw("waits in queue")
    bench.server.fail(".*", **how)
    bench.saw("W&B does not tell how far the run is")
    bench.server.mend()
    bench.saw("W&B answers again")
    item = bench.hand.pop()
    assert item
    bench.hand.run(item, "finished", summary={"loss": 1})
    thread.join(10)

    assert bench.result.status == "succeeded"
    assert bench.report.read_text().count("does not tell") == 1


def test_a_server_that_is_down_for_a_while_is_outlasted(bench: Bench) -> None:
    thread = bench.start()
    bench.saw("waits in queue")
    bench.server.stop()
    bench.saw("W&B cannot be reached")
    bench.server.start()
    bench.saw("W&B answers again")
    item = bench.hand.pop()
    assert item
    bench.hand.run(item, "finished")
    thread.join(10)

    assert bench.result.status == "succeeded"


def test_a_key_that_is_refused_for_a_moment_is_outlasted(bench: Bench) -> None:
    thread = bench.start()
    bench.saw("waits in queue")
    bench.server.fail(".*", status=401)
    bench.saw("does not take the key")
    bench.server.mend()
    bench.saw("W&B answers again")
    bench.followed.queues.remove(bench.followed.item.queue, bench.followed.identifier)
    thread.join(10)

    assert bench.result.status == "cancelled"


@pytest.mark.parametrize("status", [401, 503])
def test_patience_ends_and_the_run_goes_on(bench: Bench, status: int) -> None:
    bench.followed = replace(bench.followed, patience=replace(QUICK, fault=0.2, refusal=0.2))
    bench.server.fail(".*", status=status)
    bench.start().join(10)

    assert isinstance(bench.error, ServiceError)
    assert "in vain for 0.2 s" in bench.error.message
    assert "the same command follows it again" in bench.error.hint
    assert len(queued(bench.server, "gpu")) == 1


def test_an_answer_that_is_lost_makes_no_second_item(server: WandbServer, tmp_path: Path) -> None:
    server.fail("pushToRunQueueByName", status=0, after=True, times=1)

    bench = Bench(server, tmp_path)

    items = queued(server, "gpu")
    assert [item["id"] for item in items] == [bench.followed.identifier]


def test_a_push_that_the_server_had_no_time_for_is_sent_again(
    server: WandbServer, tmp_path: Path
) -> None:
    server.fail("pushToRunQueueByName", status=503, times=1)

    bench = Bench(server, tmp_path)

    assert [item["id"] for item in queued(server, "gpu")] == [bench.followed.identifier]
    assert "once more in 1 s" in bench.report.read_text()


def test_a_refused_push_is_an_error_and_is_not_repeated(
    server: WandbServer, tmp_path: Path
) -> None:
    server.fail("pushToRunQueueByName", status=403, message="not yours")

    with pytest.raises(ServiceError, match="not yours"):
        Bench(server, tmp_path)

    assert server.operations.count("pushToRunQueueByName") == 1


def test_two_that_send_the_same_at_once_keep_the_first(server: WandbServer, tmp_path: Path) -> None:
    first, second = Bench(server, tmp_path), Bench(server, tmp_path)

    assert first.followed.identifier == second.followed.identifier
    assert [item["id"] for item in queued(server, "gpu")] == [first.followed.identifier]


def test_of_a_long_queue_the_item_is_found_wherever_it_is(
    server: WandbServer, tmp_path: Path
) -> None:
    queues = connected(server)
    queue = queues.open("gpu")
    for number in range(249):
        queues.push(QueueItem(queue=queue, spec={**SPEC, "run_id": f"other{number}"}))
    bench = Bench(server, tmp_path)
    again = Bench(server, tmp_path)

    assert again.followed.identifier == bench.followed.identifier
    assert len(queued(server, "gpu")) == 250
    asked = server.operations.count("GetRunQueueItems")
    assert len(queues.items(queue)) == 250
    assert server.operations.count("GetRunQueueItems") == asked + 3


@pytest.mark.parametrize(
    ("words", "times"),
    [
        # Asked with all fields, and with fewer as one may be unknown.
        ('Cannot query field "pageInfo" on type "RunQueueItems".', 2),
        ('Unknown argument "after" on field "runQueueItems".', 1),
    ],
)
def test_a_server_without_pages_is_asked_for_what_it_tells(
    bench: Bench, words: str, times: int
) -> None:
    queues, queue = bench.followed.queues, bench.followed.item.queue
    bench.server.fail("GetRunQueueItems", status=400, message=words, times=times)

    (found,) = queues.items(queue)

    assert found.identifier == bench.followed.identifier
    bench.server.fail("GetRunQueueItems", status=400, message="no such queue")
    with pytest.raises(ServiceError, match="no such queue"):
        queues.items(queue)


def test_a_server_that_knows_fewer_fields_is_asked_for_those(bench: Bench) -> None:
    bench.server.fail(
        "GetRunQueueItems?",
        status=400,
        message='Cannot query field "error" on type "RunQueueItem".',
        times=1,
    )

    found = bench.followed.queues.item(bench.followed.item.queue, bench.followed.identifier)

    assert found == Item(identifier=bench.followed.identifier, state="PENDING")


def test_an_interruption_takes_the_item_off_its_queue(bench: Bench) -> None:
    def interrupted() -> None:
        with given_up(bench.followed, bench.told.update, stop=True):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert queued(bench.server, "gpu") == []
    assert bench.told == {"run_status": "cancelled"}
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_w_b_takes_while_we_are_interrupted_is_taken_off_too(bench: Bench) -> None:
    """The answer that would have told the item's id was not waited for."""
    queues, queue = bench.followed.queues, bench.followed.item.queue
    queues.remove(queue, bench.followed.identifier)
    late = threading.Timer(0.5, queues.push, (bench.followed.item,))
    late.start()

    take_back(replace(bench.followed, identifier=""), 10.0)

    late.join()
    assert queued(bench.server, "gpu") == []


def test_an_interruption_leaves_the_item_where_it_is_asked_to(bench: Bench) -> None:
    def interrupted() -> None:
        with given_up(bench.followed, bench.told.update, stop=False):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert len(queued(bench.server, "gpu")) == 1
    assert bench.told == {}
    assert f"goes on: {bench.server.url}/acme/demo/runs/" in bench.report.read_text()


def test_what_cannot_be_taken_back_is_a_warning(bench: Bench) -> None:
    bench.server.fail(".*", status=500)

    take_back(bench.followed, 0.1)

    assert "could not be stopped" in bench.report.read_text()


def test_a_run_is_read_and_an_unknown_one_is_none(bench: Bench) -> None:
    item = bench.hand.pop()
    assert item
    bench.hand.run(item, "running", summary={"a": 1})
    queues = bench.followed.queues

    assert queues.run("demo", "nothing") is None
    assert queues.run("demo", bench.run_id) == RunFacts(
        state="running",
        url=f"{bench.server.url}/acme/demo/runs/{bench.run_id}",
        name=bench.run_id,
        summary={"a": 1},
    )


def test_a_server_that_is_not_there_is_unanswered() -> None:
    account = find_account({"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "k"}, Path())
    queues = WandbQueues(Server(account.base_url, "k", {}, attempts=1), account, TEAM)

    with pytest.raises(UnansweredError, match="cannot be reached"):
        queues.open("gpu")
