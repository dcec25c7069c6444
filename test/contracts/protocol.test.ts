/** PROTOCOL.md is held to the contracts: tables, layouts and lengths in it are what the code does. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { toHex, Writer } from "#contracts/bytes";
import { FRAME } from "#contracts/frame";
import { GRANT_BYTES } from "#contracts/grant";
import { LIMIT } from "#contracts/limit";
import { KEY_END_BYTES, MARKET_KEY_BYTES } from "#contracts/market";
import { PASS_BYTES } from "#contracts/pass";
import { PROBLEMS } from "#contracts/problem";
import { PUBLISHED_BYTES, WITHDRAWN_BYTES } from "#contracts/published";
import { OBLIVIOUS_KEY_BYTES } from "#contracts/quota";
import { writeRanges } from "#contracts/ranges";
import { RECEIVED_BYTES } from "#contracts/received";
import { CLAIM_BYTES, RECEIPT_BYTES, USAGE_BYTES } from "#contracts/redemption";
import { VOUCHER_BYTES } from "#contracts/voucher";

const document = readFileSync(new URL("../../PROTOCOL.md", import.meta.url), "utf8");

test("every frame type has its row in PROTOCOL.md", () => {
	for (const [name, type] of Object.entries(FRAME)) assert.ok(document.includes(`\n| ${type} | \`${name}\` | `), name);
});

test("every problem stands in PROTOCOL.md as the table has it", () => {
	for (const [code, { wire, retry, spent, http, says }] of Object.entries(PROBLEMS)) {
		const row = `\n| ${wire} | \`${code}\` | ${retry ? "yes" : "no"} | ${spent} | ${http} | ${says} |\n`;
		assert.ok(document.includes(row), row);
	}
});

test("no two problems share a byte, and every detail fits its frame", () => {
	const wires = Object.values(PROBLEMS).map(({ wire }) => wire);
	assert.equal(new Set(wires).size, wires.length);
	for (const { wire, says } of Object.values(PROBLEMS))
		assert.ok(wire > 0 && wire < 256 && says.length <= LIMIT.detailBytesMax);
});

test("every limit stands in PROTOCOL.md with its value", () => {
	for (const [name, value] of Object.entries(LIMIT)) {
		const shown = value.toString().replace(/\B(?=(\d{3})+$)/g, ",");
		assert.ok(document.includes(`\n| \`${name}\` | ${shown} | `), `${name} ${shown}`);
	}
});

test("the lengths in PROTOCOL.md are the contracts'", () => {
	for (const [name, bytes] of Object.entries({
		certificate: MARKET_KEY_BYTES,
		end: KEY_END_BYTES,
		voucher: VOUCHER_BYTES,
		claim: CLAIM_BYTES,
		usage: USAGE_BYTES,
		withdrawn: WITHDRAWN_BYTES,
		received: RECEIVED_BYTES,
		pass: PASS_BYTES,
		key: OBLIVIOUS_KEY_BYTES,
	}))
		assert.match(document, new RegExp(`^ {4}${name} +=.* ${bytes} bytes$`, "m"));
	assert.match(document, /^ {4}published = .* 1,177 bytes$/m);
	assert.equal(PUBLISHED_BYTES, 1_177);
	assert.match(document, new RegExp(`nanos money · at time · signature +${RECEIPT_BYTES} bytes$`, "m"));
	assert.ok(document.includes(`\n| ${GRANT_BYTES} | end | |\n`));
	assert.ok(
		document.includes(
			`is \`${(
				toHex(
					writeRanges(new Writer(), [
						[1, 9],
						[12, 12],
					]).finish(),
				).match(/../g) ?? []
			).join(" ")}\``,
		),
	);
});

test("every section that the contracts name is in PROTOCOL.md", () => {
	const headings = [...document.matchAll(/^## \d+\. (.*)$/gm)].map(([, heading]) => heading);
	const files = [
		"bytes",
		"tariff",
		"identity",
		"market",
		"grant",
		"voucher",
		"redemption",
		"tab",
		"listing",
		"frame",
		"ranges",
		"handshake",
		"problem",
		"limit",
		"dispute",
	];
	for (const file of files) {
		const text = readFileSync(new URL(`../../contracts/${file}.ts`, import.meta.url), "utf8");
		const section = /PROTOCOL\.md, "([^"]+)"/.exec(text)?.[1];
		assert.ok(section && headings.includes(section), `${file}: ${section}`);
	}
});
