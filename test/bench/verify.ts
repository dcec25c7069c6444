/** What one signature costs a service: sodium-native against the other ways that are installed. */
import { generateKeyPairSync, sign, verify } from "node:crypto";
import sodium from "libsodium-wrappers";
import { crypto as native } from "#host/crypto";
import { compare } from "./measure.ts";
import type { Bench } from "./run.ts";

export const about = "checking an Ed25519 signature: sodium-native, node:crypto, libsodium-wrappers";

export const bench: Bench["bench"] = async ({ runs, quick }) => {
	await sodium.ready;
	const { privateKey, publicKey } = generateKeyPairSync("ed25519");
	const raw = Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url");
	const text = Buffer.alloc(88, 7);
	const signature = sign(null, text, privateKey);
	const times = quick ? 200 : 4000;
	/** CPU microseconds of one check. */
	const cost = (check: () => boolean) => {
		const before = process.cpuUsage();
		for (let i = 0; i < times; i++) if (!check()) throw new Error("a good signature was refused");
		const { user, system } = process.cpuUsage(before);
		return (user + system) / times;
	};
	const ours = () => cost(() => native.verify(signature, text, raw));
	const peers: [string, () => boolean][] = [
		["node:crypto, key imported once", () => verify(null, text, publicKey, signature)],
		["libsodium-wrappers", () => sodium.crypto_sign_verify_detached(signature, text, raw)],
	];
	const contests = peers.map(([peerName, check]) => ({
		case: "verify 88 bytes",
		unit: "CPU us",
		better: "lower" as const,
		peerName,
		ours,
		peer: () => cost(check),
	}));
	return compare("verify", contests, runs);
};
