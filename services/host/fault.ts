/**
 * Named points at which a process can be told to die, so that a crash test lands where it hurts. Nothing happens unless
 * `FARELAY_FAULT` is set when the process starts: `FARELAY_FAULT=ledger:before-commit` kills at the first pass of that point,
 * `ledger:before-commit#3` at the third. Dying is SIGKILL: no handler runs, nothing is flushed.
 */

const [point, passes = "1"] = (process.env.FARELAY_FAULT ?? "").split("#");
let left = Number(passes);

/** Passes a named point; with the fault set for it, the process is gone. */
export function passFaultPoint(name: string): void {
	if (point === "" || point !== name) return;
	left -= 1;
	if (left > 0) return;
	process.kill(process.pid, "SIGKILL");
	// the signal may take a moment to arrive in this thread; nothing after the point may run
	Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}
