/**
 * Files of secrets: JSON, sealed by a passphrase where there is one (Argon2id and XSalsa20-Poly1305 of libsodium), plain where there is none. Readable
 * by their owner alone, or they are not read at all.
 */

import { stat } from "node:fs/promises";
import sodium from "sodium-native";
import { type Problem, problem } from "#contracts/problem";
import { readIfThere, writeJson } from "./replace.ts";

/** What a guess costs whoever has the file, and an opening costs us: a quarter of a second and memory that the smallest server has. */
const WORK = { ops: 4, memoryBytes: 64 * 1024 * 1024 } as const;

/** Whatever a file says, no more is spent on opening it: it may be anybody's. */
const WORK_MAX = { ops: 16, memoryBytes: 512 * 1024 * 1024 } as const;

/** Shorter ones are found by trying, whatever a guess costs. */
const PASSPHRASE_CHARS_MIN = 12;

/** Others on the machine, whether of the group or not. */
const OTHERS = 0o077;

/** What marks a sealed file. */
const MARK = "sealed/1";

/** A sealed file: base64, and a sum over the rest, so that a damaged file is told from a wrong passphrase. */
type Sealed = {
	readonly farelay: typeof MARK;
	readonly ops: number;
	readonly memoryBytes: number;
	readonly salt: string;
	readonly nonce: string;
	readonly box: string;
	readonly sum: string;
};

/** What a file of secrets holds, and whether it was sealed. */
export type Secret = { readonly json: unknown; readonly sealed: boolean };

/** Why a passphrase is none; undefined when it is one. */
export function refusePassphrase(passphrase: string): Problem | undefined {
	if (passphrase.length >= PASSPHRASE_CHARS_MIN) return undefined;
	return problem("usage", `A passphrase has at least ${PASSPHRASE_CHARS_MIN} characters: shorter ones are guessed.`);
}

/** Reads a file of secrets; undefined when there is none. `variable` is where its passphrase is to be given. */
export async function readSecret(
	path: string,
	passphrase: string | undefined,
	variable: string,
): Promise<Secret | Problem | undefined> {
	const bytes = await readIfThere(path);
	if (bytes === undefined) return undefined;
	if (((await stat(path)).mode & OTHERS) !== 0)
		return problem(
			"file-unreadable",
			`Others on this machine may read ${path}, so it is not used. Take its rights away (chmod go-rwx ${path}), and if others do use this machine, take what is in it for known to them.`,
		);
	const damaged = problem("data-corrupt", `${path} is damaged; restore it from a backup.`);
	const json = parse(new TextDecoder().decode(bytes));
	if (json === undefined) return damaged;
	if ((json as Partial<Sealed> | null)?.farelay === undefined) return { json, sealed: false };
	const sealed = json as Sealed;
	if (!isSealed(sealed) || sumOf(sealed) !== sealed.sum) return damaged;
	if (passphrase === undefined)
		return problem("usage", `${path} is sealed: give its passphrase by ${variable}_FILE or ${variable}.`);
	const box = bytesOf(sealed.box);
	const message = Buffer.alloc(box.length - sodium.crypto_secretbox_MACBYTES);
	const key = await keyOf(passphrase, bytesOf(sealed.salt), sealed);
	if (!sodium.crypto_secretbox_open_easy(message, box, bytesOf(sealed.nonce), key))
		return problem("usage", `The passphrase of ${variable} does not open ${path}: it is another one's.`);
	return { json: parse(message.toString()), sealed: true };
}

/** Replaces a file of secrets, sealed where there is a passphrase. */
export async function writeSecret(path: string, json: unknown, passphrase: string | undefined): Promise<void> {
	if (passphrase === undefined) return await writeJson(path, json);
	const salt = random(sodium.crypto_pwhash_SALTBYTES);
	const nonce = random(sodium.crypto_secretbox_NONCEBYTES);
	const message = Buffer.from(JSON.stringify(json));
	const box = Buffer.alloc(message.length + sodium.crypto_secretbox_MACBYTES);
	sodium.crypto_secretbox_easy(box, message, nonce, await keyOf(passphrase, salt, WORK));
	const [saltText, nonceText, boxText] = [salt, nonce, box].map((part) => part.toString("base64"));
	const sealed = { farelay: MARK, ...WORK, salt: saltText ?? "", nonce: nonceText ?? "", box: boxText ?? "" } as const;
	await writeJson(path, { ...sealed, sum: sumOf(sealed) } satisfies Sealed);
}

function isSealed(json: Sealed): boolean {
	const { farelay, ops, memoryBytes, salt, nonce, box, sum } = json;
	return (
		farelay === MARK &&
		Number.isSafeInteger(ops) &&
		ops >= sodium.crypto_pwhash_OPSLIMIT_MIN &&
		ops <= WORK_MAX.ops &&
		Number.isSafeInteger(memoryBytes) &&
		memoryBytes >= sodium.crypto_pwhash_MEMLIMIT_MIN &&
		memoryBytes <= WORK_MAX.memoryBytes &&
		[salt, nonce, box, sum].every((text) => typeof text === "string") &&
		bytesOf(salt).length === sodium.crypto_pwhash_SALTBYTES &&
		bytesOf(nonce).length === sodium.crypto_secretbox_NONCEBYTES &&
		bytesOf(box).length > sodium.crypto_secretbox_MACBYTES
	);
}

function sumOf({ farelay, ops, memoryBytes, salt, nonce, box }: Omit<Sealed, "sum">): string {
	const digest = Buffer.alloc(sodium.crypto_generichash_BYTES);
	sodium.crypto_generichash(digest, Buffer.from(JSON.stringify([farelay, ops, memoryBytes, salt, nonce, box])));
	return digest.toString("base64");
}

/** Off the event loop: a market that reads its keys anew goes on answering. */
async function keyOf(passphrase: string, salt: Buffer, work: { ops: number; memoryBytes: number }): Promise<Buffer> {
	const key = Buffer.alloc(sodium.crypto_secretbox_KEYBYTES);
	const algorithm = sodium.crypto_pwhash_ALG_ARGON2ID13;
	await new Promise<void>((done, fail) => {
		sodium.crypto_pwhash_async(key, Buffer.from(passphrase), salt, work.ops, work.memoryBytes, algorithm, (error) =>
			error ? fail(error) : done(),
		);
	});
	return key;
}

function random(length: number): Buffer {
	const bytes = Buffer.alloc(length);
	sodium.randombytes_buf(bytes);
	return bytes;
}

function bytesOf(text: string): Buffer {
	return Buffer.from(text, "base64");
}

function parse(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}
