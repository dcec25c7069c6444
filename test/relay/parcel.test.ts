import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { AT, FIELDS, Packer } from "#relay/mailbox/parcel";
import type { Mail } from "#relay/mailbox/store";
import { box, mail, tag } from "#test/acceptance/mailstore";

type Packed = NonNullable<ReturnType<Packer["take"]>>;
type Waiting = { packed: Packed; mails: Mail[] };

/** What the thread would read out of a parcel. */
function unpacked({ parcel }: Packed) {
	let { start } = parcel;
	return Array.from({ length: parcel.numbers.length / FIELDS }, (_, i) => {
		const at = (field: number) => parcel.numbers[i * FIELDS + field] as number;
		const payload = Buffer.from(parcel.memory, start, at(AT.bytes));
		start += payload.length;
		const [mailbox, sender] = [parcel.mailboxes[at(AT.mailbox)], parcel.tags[at(AT.tag)]];
		return { mailbox, tag: sender, position: at(AT.position), seq: at(AT.seq), payload: payload.toString("hex") };
	});
}

const told = ({ mailbox, tag: sender, position, seq, payload }: Mail) => ({
	mailbox,
	tag: sender,
	position,
	seq,
	payload: Buffer.from(payload).toString("hex"),
});

suite("mail on its way to the writer's thread", () => {
	test("lies where it was put until its parcel is answered, in whatever order that is, and the memory is used again", () => {
		const step = fc.oneof(
			fc.record({ is: fc.constant("add" as const), kib: fc.integer({ min: 0, max: 60 }), of: fc.nat({ max: 3 }) }),
			fc.record({ is: fc.constant("take" as const) }),
			fc.record({ is: fc.constant("answer" as const), which: fc.nat({ max: 20 }) }),
		);
		fc.assert(
			fc.property(fc.array(step, { maxLength: 400, size: "max" }), (steps) => {
				const packer = new Packer();
				const waiting: Waiting[] = [];
				const slabs = new Set<SharedArrayBuffer>();
				let open: Mail[] = [];
				let position = 0;
				let most = 0;
				const take = () => {
					const packed = packer.take();
					assert.equal(packed === undefined, open.length === 0);
					if (packed) waiting.push({ packed, mails: open });
					if (packed) slabs.add(packed.parcel.memory);
					open = [];
					most = Math.max(most, new Set(waiting.map(({ packed: { parcel } }) => parcel.memory)).size);
				};
				for (const one of steps) {
					if (one.is === "take") take();
					else if (one.is === "answer") {
						const [answered] = waiting.splice(one.which % Math.max(1, waiting.length), 1);
						if (!answered) continue;
						assert.deepEqual(unpacked(answered.packed), answered.mails.map(told));
						answered.packed.release();
					} else {
						position++;
						const payload = new Uint8Array(one.kib * 1024 + (position % 5)).fill(position & 255);
						const added = mail(position, { mailbox: box(one.of), tag: tag(position % 2), payload });
						if (!packer.add(added)) {
							take();
							assert(packer.add(added));
						}
						open.push({ ...added, payload: payload.slice() });
						// its owner uses it again at once
						payload.fill(0);
					}
				}
				take();
				for (const { packed, mails } of waiting) assert.deepEqual(unpacked(packed), mails.map(told));
				assert(slabs.size <= most + 5, `${slabs.size} pieces of memory for ${most} in use at once`);
			}),
			// a smaller example is not worth the minutes that finding it takes
			{ numRuns: 20, endOnFailure: true },
		);
	});

	test("a mail larger than a slab goes alone, and no parcel holds more than 1,024", () => {
		const packer = new Packer();
		const large = mail(1, { payload: new Uint8Array(3 * 1024 * 1024).fill(7) });
		assert(packer.add(mail(2)));
		assert.equal(packer.add(large), false);
		assert.equal(packer.take()?.count, 1);
		assert(packer.add(large));
		assert.equal(packer.add(mail(3)), false);
		assert.equal(packer.take()?.bytes, large.payload.length);
		let added = 0;
		while (packer.add(mail(10 + added))) added++;
		assert.equal(added, 1_024);
	});

	test("a burst takes new memory once, and the next one the same again", () => {
		const packer = new Packer();
		const payload = new Uint8Array(60 * 1024);
		const slabs = new Set<SharedArrayBuffer>();
		for (let burst = 0; burst < 10; burst++) {
			const parcels = Array.from({ length: 24 }, () => {
				while (packer.add(mail(1, { payload })));
				return packer.take();
			});
			for (const packed of parcels) {
				assert(packed);
				slabs.add(packed.parcel.memory);
				packed.release();
			}
		}
		assert.equal(slabs.size, 24);
	});
});
