import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { choice, flag, flagOf, readSettings, secret, text, variableOf, whole } from "#host/env";

const SETTINGS = {
	host: text("127.0.0.1"),
	dataPath: text("./.farelay"),
	port: whole(0, 0, 65_535),
	play: flag(),
	logLevel: choice("info", ["info", "debug"]),
	adminToken: secret(),
};

describe("settings", () => {
	let folder: string;
	before(async () => {
		folder = await mkdtemp(join(tmpdir(), "farelay-env-"));
	});
	after(() => rm(folder, { recursive: true, force: true }));

	async function file(content: unknown): Promise<string> {
		const path = join(folder, `${crypto.randomUUID()}.json`);
		await writeFile(path, typeof content === "string" ? content : JSON.stringify(content));
		return path;
	}

	it("are what nobody changed when nobody says anything", () => {
		assert.deepEqual(readSettings(SETTINGS, { env: {}, section: "market" }), {
			host: "127.0.0.1",
			dataPath: "./.farelay",
			port: 0,
			play: false,
			logLevel: "info",
			adminToken: undefined,
		});
	});

	it("take a flag over the environment over the file", async () => {
		const path = await file({ host: "c", dataPath: "c", market: { port: 3, host: "m" }, relay: { odd: 1 } });
		const env = { FARELAY_DATA_PATH: "b", FARELAY_PORT: "2" };
		const values = readSettings(SETTINGS, { flags: { port: "1", play: true }, env, file: path, section: "market" });
		assert(!("problem" in values));
		assert.deepEqual([values.port, values.dataPath, values.host, values.play], [1, "b", "m", true]);
	});

	it("name the setting and the place of a mistake", async () => {
		const odd = await file({ market: { prot: 1 } });
		for (const [sources, says] of [
			[{ env: { FARELAY_PORT: "65536" } }, /FARELAY_PORT must be a whole number from 0 to 65535/],
			[{ env: {}, flags: { logLevel: "loud" } }, /--log-level must be one of info, debug/],
			[{ env: { FARELAY_PLAY: "maybe" } }, /FARELAY_PLAY must be yes or no/],
			[{ env: {}, file: odd }, /no setting "prot" for market/],
			[{ env: {}, file: await file("{") }, /is not JSON/],
			[{ env: {}, file: await file([]) }, /is not a JSON object/],
			[{ env: { FARELAY_CONFIG: join(folder, "none") } }, /cannot be read \(ENOENT\)/],
		] as const) {
			const refused = readSettings(SETTINGS, { ...sources, section: "market" });
			assert("problem" in refused);
			assert.match(refused.detail, says);
		}
	});

	it("threat 22: a secret on the command line is refused and never shown", async () => {
		const refused = readSettings(SETTINGS, { flags: { adminToken: "hunter2" }, env: {}, section: "market" });
		assert("problem" in refused && !refused.detail.includes("hunter2"));
		const path = await file("from-a-file\n");
		const values = readSettings(SETTINGS, { env: { FARELAY_ADMIN_TOKEN_FILE: path }, section: "market" });
		assert(!("problem" in values));
		assert.equal(values.adminToken, "from-a-file");
	});

	it("are named alike everywhere", () => {
		assert.equal(variableOf("dataPath"), "FARELAY_DATA_PATH");
		assert.equal(flagOf("dataPath"), "--data-path");
	});
});
