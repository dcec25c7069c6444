/** All vector files by name, computed with one implementation of the cryptography. */
import type { VectorFile } from "./case.ts";
import { proofVectors } from "./committed.ts";
import { decisionVectors } from "./decided.ts";
import type { Engine } from "./engine.ts";
import { needVectors } from "./need.ts";
import { passVectors, quotaVectors } from "./passes.ts";
import { receivedVectors } from "./received.ts";
import { cardVectors, chunkVectors, envelopeVectors, publishedVectors } from "./sealed.ts";
import {
	disputeVectors,
	grantVectors,
	handshakeVectors,
	identityVectors,
	listingVectors,
	marketVectors,
	redemptionVectors,
	tabVectors,
	voucherVectors,
} from "./signed.ts";
import {
	amountVectors,
	bytesVectors,
	controlVectors,
	frameVectors,
	problemVectors,
	rangesVectors,
	tariffVectors,
} from "./wire.ts";

/** The text of each file in `contracts/vectors/`. */
export function vectorFiles(engine: Engine): Map<string, string> {
	const { crypto } = engine;
	const files: VectorFile[] = [
		bytesVectors(),
		amountVectors(),
		tariffVectors(),
		needVectors(),
		rangesVectors(),
		frameVectors(),
		controlVectors(crypto),
		problemVectors(),
		identityVectors(crypto),
		marketVectors(crypto),
		grantVectors(crypto),
		voucherVectors(crypto),
		redemptionVectors(crypto),
		tabVectors(crypto),
		listingVectors(crypto),
		handshakeVectors(crypto),
		receivedVectors(crypto),
		passVectors(crypto),
		quotaVectors(crypto),
		disputeVectors(crypto),
		proofVectors(crypto),
		decisionVectors(crypto),
		cardVectors(engine),
		envelopeVectors(engine),
		chunkVectors(engine),
		publishedVectors(engine),
	];
	return new Map(files.map((file) => [`${file.contract}.json`, `${JSON.stringify(file, null, "\t")}\n`]));
}
