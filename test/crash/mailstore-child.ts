/**
 * The process that the mail store's crash test kills: keeps and deletes mail without end and writes into a journal what it asks ("?"), what
 * was kept ("!"), what it deletes ("-") and what was deleted ("x"), each before anything else happens. The third mailbox has two devices: the
 * first acknowledges ("a", "A" when it is noted), then the second, which deletes.
 */

import { openSync, writeSync } from "node:fs";
import { isProblem } from "#contracts/problem";
import { openSqliteMailStore } from "#relay/mailbox/sqlite";
import type { Mail, MailStore } from "#relay/mailbox/store";
import { box, device, tag } from "#test/acceptance/mailstore";

const [path = "", journalPath = "", run = "0"] = process.argv.slice(2);
const opened = await openSqliteMailStore({ path });
if (isProblem(opened)) throw new Error(opened.detail);
const store: MailStore = opened;
const journal = openSync(journalPath, "a");
const say = (line: string) => writeSync(journal, `${line}\n`);
say(`epoch ${store.epoch}`);
for (const n of [1, 2, 3]) await store.visit(box(n), device(1), undefined, 0);
await store.visit(box(3), device(2), undefined, 0);
writeSync(1, "ready\n");

async function acknowledge({ mailbox, position }: Mail, by: string): Promise<void> {
	if ((await store.acknowledge(mailbox, by, [position])) !== "noted") throw new Error("not noted");
}

let next = 0;
/** One sender: a few mails at a time, and of each batch the first is deleted again. */
async function send(sender: number): Promise<never> {
	for (;;) {
		const mails = Array.from({ length: 1 + (next % 7) }, () => {
			const n = ++next;
			const position = store.epoch * 2 ** 32 + n;
			const payload = new Uint8Array((n * 131) % 3_000).fill(n & 255);
			const mailbox = box(1 + (n % 3));
			return {
				mailbox,
				position,
				expiresAtMs: 1e13,
				payload,
				tag: tag(Number(run)),
				seq: n,
				print: n,
				byCard: n % 2 === 0,
			};
		});
		const name = mails.map(({ seq }) => seq).join(" ");
		say(`? ${name}`);
		const results = await store.keep(mails);
		if (results.some((result) => result !== "kept")) throw new Error(`${sender}: ${results}`);
		say(`! ${name}`);
		const [first] = mails;
		if (!first) continue;
		const several = first.mailbox === box(3);
		if (several) {
			say(`a ${first.seq}`);
			await acknowledge(first, device(1));
			say(`A ${first.seq}`);
		}
		say(`- ${first.seq}`);
		await acknowledge(first, device(several ? 2 : 1));
		say(`x ${first.seq}`);
	}
}
await Promise.all([1, 2, 3, 4].map(send));
