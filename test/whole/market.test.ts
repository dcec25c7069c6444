/** docs/guides/market.md, block by block, on real processes: one market that moves from files to a Postgres and to two processes behind a proxy, while it is used. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer, request, type Server } from "node:http";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { type Client, createClient } from "#sdk/client";
import { startPostgres } from "#test/support/postgres";
import { Place, type Program } from "#test/support/process";
import { until } from "#test/support/rawclient";

const server = await startPostgres();

/** The lines of a section's blocks, in order. */
function linesOf(guide: string, section: string): string[] {
	const from = guide.indexOf(`\n## ${section}\n`);
	assert.ok(from >= 0, section);
	const text = guide.slice(from, guide.indexOf("\n## ", from + 4));
	return [...text.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block = ""]) => block.trim().split("\n"));
}

suite("a market that grows by its guide, with real processes", () => {
	let place: Place;
	let proxy: Server;
	/** Ports of the processes that the proxy sends to, in turn. */
	let behind: number[] = [];
	const everybody: Client[] = [];
	before(async () => {
		place = await Place.open();
		let turn = 0;
		proxy = createServer((asked, answer) => {
			const port = behind[turn++ % Math.max(1, behind.length)];
			const { url: path, method, headers } = asked;
			const on = request({ host: "127.0.0.1", port, path, method, headers }, (answered) => {
				answer.writeHead(answered.statusCode ?? 502, answered.headers);
				answered.pipe(answer);
			});
			on.once("error", () => answer.writeHead(502).end());
			asked.pipe(on);
		});
		await new Promise<void>((done) => proxy.listen(0, "127.0.0.1", done));
	});
	after(async () => {
		await Promise.allSettled(everybody.map((who) => who.close()));
		await place.end();
		proxy.closeAllConnections();
		proxy.close();
	});

	test("money that came in on files is spent on Postgres, at whichever process is asked, and outlives one that is killed", async () => {
		const guide = await readFile(join(import.meta.dirname, "../../docs/guides/market.md"), "utf8");
		const database = new URL(await server.database());
		const password = decodeURIComponent(database.password);
		database.password = "";
		const env: Record<string, string> = {};
		const ran: string[] = [];
		const up: Program[] = [];

		/** Does what a section says, with this test's database and ports for those of the guide. */
		async function follow(section: string): Promise<void> {
			for (const line of linesOf(guide, section)) {
				ran.push(line);
				const words = line
					.replaceAll("postgres://farelay@db.internal:5432/farelay", database.href)
					.replace(/--port \d+/, "--port 0")
					.split(" ");
				const [first, second, third, fourth] = words;
				if (first === "export") {
					const [name = "", path = ""] = (second ?? "").split("=");
					await mkdir(place.path("secrets"));
					await writeFile(place.path(path), password, { mode: 0o600 });
					env[name] = place.path(path);
				} else if (first === "cp") {
					await mkdir(place.path(fourth ?? "", ".."), { recursive: true });
					await promisify(execFile)("cp", words.slice(1), { cwd: place.folder });
				} else {
					assert.deepEqual([first, second], ["npx", "farelay"]);
					if (third === "market" && fourth !== "migrate") {
						up.push(await place.start(words.slice(2), { env }));
						behind = up.map(({ port }) => port);
					} else {
						// the files are a stopped market's
						if (fourth === "migrate") for (const each of up.splice(0)) await each.end();
						const said = await place.done(words.slice(2), { env });
						if (third === "audit") assert.equal(said.holds, true);
					}
				}
			}
		}

		await follow("One market on SQLite");
		const address = proxy.address();
		assert.ok(typeof address === "object" && address);
		const url = `http://127.0.0.1:${address.port}`;
		const operator = await place.done(["account"], { home: "operator", market: url });
		await place.relay({ market: url, operator: String(operator.account) });
		const person = async () => {
			const client = await createClient({ market: url });
			everybody.push(client);
			return client;
		};
		const [alice, bob] = [await person(), await person()];
		await alice.market.api.funding.play.mutate({ id: "start", amount: "1000000000" });
		const mail: string[] = [];
		await until("the relay to be listed", async () => (await bob.market.api.market.relays.query({})).relays.length > 0);
		const card = await bob.card({ name: "Bob" });
		bob.listen({ text: ({ text }) => void mail.push(text) });
		await alice.send(card, "on files");
		await until("mail", () => mail.includes("on files"));

		await follow("The same on Postgres");
		await alice.send(card, "on Postgres");
		await until("mail", () => mail.includes("on Postgres"));

		await follow("Several processes");
		assert.equal(behind.length, 2);
		const carol = await person();
		await carol.market.api.funding.play.mutate({ id: "start", amount: "1000000000" });
		await carol.send(card, "at two");
		await until("mail", () => mail.includes("at two"));

		// the first is gone without a word, and the proxy hears of it
		await up[0]?.end("SIGKILL");
		behind = behind.slice(1);
		const dave = await person();
		await dave.market.api.funding.play.mutate({ id: "start", amount: "1000000000" });
		await dave.send(card, "at one");
		await until("mail", () => mail.includes("at one"));
		for (const who of [alice, carol, dave]) await who.settle();
		await until("the operator's money", async () => {
			const earned = await place.done(["earnings"], { home: "operator", market: url });
			return Object.values(earned).some((nanos) => /^[1-9]\d*$/.test(String(nanos)));
		});
		const report = await place.done(["audit", "--data", place.path("second"), "--database", database.href], { env });
		assert.deepEqual([report.holds, report.tabs], [true, 3]);

		const blocks = [...guide.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block = ""]) => block.trim().split("\n"));
		assert.deepEqual(ran, blocks, "every block of the guide was run");
	});
});
