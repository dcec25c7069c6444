import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { openLog } from "#host/log";

function capture(): { lines: string[]; to: { write(line: string): void } } {
	const lines: string[] = [];
	return { lines, to: { write: (line) => void lines.push(line) } };
}

describe("the log", () => {
	it("writes one JSON line for each thing, with its time and level", () => {
		const { lines, to } = capture();
		openLog({ name: "market", to }).info({ n: 1 }, "up");
		const line = JSON.parse(lines[0] ?? "");
		assert.deepEqual([line.level, line.name, line.n, line.msg], ["info", "market", 1, "up"]);
		assert.match(line.time, /^\d{4}-\d\d-\d\dT.*Z$/);
		assert.equal(lines[0]?.endsWith("\n"), true);
	});

	it("threat 22: no secret reaches it, at any depth, in bindings, messages or errors", () => {
		const { lines, to } = capture();
		const log = openLog({ name: "market", to, level: "trace" });
		const key = "ab".repeat(64);
		const token = "eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJhIn0.c2lnbmF0dXJl";
		log.child({ token: "s-binding" }).info({ a: { b: { headers: { Authorization: "s-deep" } } } }, "x");
		log.info({ seed: new Uint8Array([201, 202]), "secret-key": "s-key", signature: ["s-list"] }, "x");
		log.info(`was called with Bearer ${token} and ${key}`);
		log.error({ err: new Error(`refused ${token}`) }, key);
		const all = lines.join("");
		for (const hidden of ["s-binding", "s-deep", "201", "s-key", "s-list", token, key])
			assert(!all.includes(hidden), `${hidden} is in the log`);
		assert.equal(lines.length, 4);
		for (const line of lines) JSON.parse(line);
	});
});
