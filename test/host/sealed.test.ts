/** Files of secrets: what opens them, what does not, and what is said of it. */

import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { isProblem, type Problem } from "#contracts/problem";
import { readSecret, refusePassphrase, writeSecret } from "#host/sealed";

const WORDS = "a horse and a battery";

describe("a file of secrets", () => {
	let folder: string;
	let path: string;
	beforeEach(async () => {
		folder = await mkdtemp(join(tmpdir(), "farelay-sealed-"));
		path = join(folder, "secret.json");
	});
	afterEach(() => rm(folder, { recursive: true, force: true }));

	const open = (words?: string) => readSecret(path, words, "FARELAY_WORDS");
	async function refused(words = WORDS): Promise<Problem> {
		const answer = await open(words);
		assert(isProblem(answer), JSON.stringify(answer));
		return answer;
	}

	it("opens with its passphrase and no other, shows nothing of what is in it, and is its owner's alone", async () => {
		await writeSecret(path, { seed: "five and five" }, WORDS);
		assert.deepEqual(await open(WORDS), { json: { seed: "five and five" }, sealed: true });
		assert.doesNotMatch(await readFile(path, "utf8"), /five|seed/);
		assert.equal((await stat(path)).mode & 0o777, 0o600);
		assert.match((await refused("another one's words")).detail, /does not open .*: it is another one's/);
		const unasked = await open();
		assert(isProblem(unasked) && /give its passphrase by FARELAY_WORDS_FILE or FARELAY_WORDS/.test(unasked.detail));
	});

	it("is sealed anew each time: two files of one secret have nothing in common", async () => {
		await writeSecret(path, "same", WORDS);
		const first = JSON.parse(await readFile(path, "utf8"));
		await writeSecret(path, "same", WORDS);
		const second = JSON.parse(await readFile(path, "utf8"));
		for (const name of ["salt", "nonce", "box"]) assert.notEqual(first[name], second[name]);
	});

	it("lies open where there is no passphrase, and says so", async () => {
		await writeSecret(path, { seed: "five" }, undefined);
		assert.deepEqual(await open(), { json: { seed: "five" }, sealed: false });
		assert.deepEqual(await open(WORDS), { json: { seed: "five" }, sealed: false });
		await rm(path);
		assert.equal(await open(), undefined);
	});

	it("that is damaged is told from a wrong passphrase, whichever part is hurt", async () => {
		await writeSecret(path, { seed: "five" }, WORDS);
		const whole = JSON.parse(await readFile(path, "utf8"));
		for (const [name, value] of [
			["box", `A${whole.box.slice(1)}`],
			["box", `B${whole.box.slice(1)}`],
			["salt", whole.nonce],
			["nonce", ""],
			["ops", 3],
			["ops", 1e9],
			["memoryBytes", 2 ** 40],
			["sum", ""],
			["farelay", "sealed/2"],
		] as const) {
			if (whole[name] === value) continue;
			await writeFile(path, JSON.stringify({ ...whole, [name]: value }));
			assert.equal((await refused()).problem, "data-corrupt", `${name} ${value}`);
		}
		for (const text of ["", "{", JSON.stringify(whole).slice(0, -20)]) {
			await writeFile(path, text);
			assert.equal((await refused()).problem, "data-corrupt", text);
		}
	});

	it("that others on the machine may read is not used, sealed or not", async () => {
		for (const words of [WORDS, undefined])
			for (const mode of [0o640, 0o604, 0o660]) {
				await writeSecret(path, 1, words);
				await chmod(path, mode);
				const { problem, detail } = await refused();
				assert.equal(problem, "file-unreadable");
				assert.match(detail, /chmod go-rwx/);
			}
	});

	it("takes no passphrase that is guessed in a day", () => {
		assert.equal(refusePassphrase("elevenchars")?.problem, "usage");
		assert.equal(refusePassphrase("twelve chars"), undefined);
	});
});
