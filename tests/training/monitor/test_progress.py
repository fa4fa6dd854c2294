import io

from hierbert_tf.training.monitor.progress import Progress

VALUES = {"masked_lm/loss": 6.5, "masked_lm/accuracy": 0.1, "tokens_per_second": 2000.0}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_file_gets_a_line_a_log():
    stream = io.StringIO()
    progress = Progress(10, start_step=2, stream=stream)
    progress.log(4, VALUES)
    progress.close()
    assert stream.getvalue() == "step 4/10: 2.0k tokens/s, mlm 6.500\n"


def test_a_terminal_gets_a_bar():
    stream = Terminal()
    progress = Progress(10, start_step=2, stream=stream)
    progress.step(5)
    progress.log(5, VALUES)
    progress.close()
    assert "5/10" in stream.getvalue() and "mlm 6.500" in stream.getvalue()
    assert " left" in stream.getvalue()


def test_not_shown():
    stream = io.StringIO()
    progress = Progress(10, stream=stream, shown=False)
    progress.step(1)
    progress.log(1, VALUES)
    progress.close()
    assert stream.getvalue() == ""


def test_a_file_gets_the_time_left():
    stream, seconds = io.StringIO(), iter([100.0, 103.0, 160.0])
    progress = Progress(10, stream=stream, clock=lambda: next(seconds))
    for step in (1, 2, 3, 4):
        progress.step(step)
        if step == 1:
            progress.log(1, VALUES)  # the first step built the graph: nothing known yet
    progress.log(4, VALUES)
    progress.log(10, VALUES)
    assert [line.rpartition("mlm 6.500")[2] for line in stream.getvalue().splitlines()] == [
        "",
        ", 00:06 left",
        ", 00:00 left",
    ]
