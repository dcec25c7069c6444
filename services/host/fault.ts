/**
 * Named points at which a process can be told to die, to wait or to fail, so that a test lands where it hurts. Nothing happens unless
 * `FARELAY_FAULT` is set when the process starts: `ledger:before-commit` kills at the first pass of that point, `ledger:before-commit#3` at the
 * third; `mailbox:before-commit~100` waits 100 ms at each, as a slow disk does; `mailbox:before-commit!8` fails each with SQLite's result code
 * 8, as a disk that has become read-only. Dying is SIGKILL: no handler runs, nothing is flushed.
 */

const [, point = "", action = "#", number = "1"] =
	/^([^#~!]+)([#~!])?(\d+)?$/.exec(process.env.FARELAY_FAULT ?? "") ?? [];
let left = Number(number);

/** Passes a named point; with the fault set for it, the process is gone, or later, or the point throws. */
export function passFaultPoint(name: string): void {
	if (point === "" || point !== name) return;
	if (action === "~") {
		Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(number));
		return;
	}
	if (action === "!") throw Object.assign(new Error("a fault was asked for"), { errcode: Number(number) });
	left -= 1;
	if (left > 0) return;
	process.kill(process.pid, "SIGKILL");
	// the signal may take a moment to arrive in this thread; nothing after the point may run
	Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}
