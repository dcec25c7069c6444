/**
 * Loaded into a program before it starts (`node --import`): its wall clock is ahead by what a file says, in milliseconds, and moves on while it runs when
 * the file changes. How long things take is measured by another clock, which stays as it is: only the date jumps. What a program does every few minutes it does each second,
 * so that a story need not wait for it.
 */

import { readFileSync } from "node:fs";

/** How soon every program sees that time has moved on. */
const LOOK_EVERY_MS = 20;

/** The longest that anything waits between two rounds. */
const CHORE_MS = 1_000;

const path = process.env.FARELAY_TEST_AHEAD;
const Real = globalThis.Date;
let aheadMs = 0;
const look = () => {
	if (path !== undefined) aheadMs = Number(readFileSync(path, "utf8"));
};
look();
setInterval(look, LOOK_EVERY_MS).unref();

const nowMs = () => Real.now() + aheadMs;
globalThis.Date = new Proxy(Real, {
	construct: (target, given) => Reflect.construct(target, given.length === 0 ? [nowMs()] : given),
	get: (target, name) => (name === "now" ? nowMs : Reflect.get(target, name)),
});

const every = globalThis.setInterval;
globalThis.setInterval = ((run: () => void, ms: number, ...given: []) =>
	every(run, Math.min(ms, CHORE_MS), ...given)) as typeof setInterval;
