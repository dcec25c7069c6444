import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { isProblem, PROBLEMS } from "#contracts/problem";
import { variableOf } from "#host/env";
import { MARKET_SETTINGS } from "#marketplace/config";
import { makeMetrics } from "#marketplace/metrics";
import { RELAY_DEFAULTS, RELAY_SETTINGS, readRelayConfig } from "#relay/config";
import { gaugesOf } from "#relay/gauges";
import { Counts, openMetrics } from "#relay/metrics";
import { DELAYS, DOOR, DROPS } from "#relay/reason";

const home = join(import.meta.dirname, "../..");
const file = (name: string) => readFileSync(join(home, name), "utf8");
const WATCHING = ["docker/alerts.yml", "docker/alerts.test.yml", "docker/dashboard.json"];

/** Every name that a relay and a market tell, as they are registered; a histogram has three. */
function exposed(): Set<string> {
	// only names are asked for here: no gauge is looked at
	const nobody = {} as never;
	const relay = openMetrics(new Counts(), gaugesOf(nobody, nobody), true);
	const metrics = [...relay.getMetricsAsArray(), ...makeMetrics(async () => 0).registry.getMetricsAsArray()];
	const parent = [...file("services/relay/workers/parent.ts").matchAll(/gauge\("(\w+)"/g)].map(
		([, name]) => `farelay_relay_${name}`,
	);
	return new Set([
		...metrics.flatMap(({ name }) => [name, `${name}_bucket`, `${name}_sum`, `${name}_count`]),
		...parent,
		"up",
	]);
}

suite("what watches a relay", () => {
	test("asks only for figures that are told", () => {
		const known = exposed();
		for (const name of WATCHING) {
			const asked = file(name).match(/\b(?:farelay|nodejs|process)_[a-z_0-9]+/g) ?? [];
			assert.ok(asked.length > 5, name);
			for (const metric of asked) assert.ok(known.has(metric), `${name} asks for ${metric}`);
		}
	});

	test("asks only for reasons that there are", () => {
		const reasons: Record<string, object> = {
			farelay_relay_refused_total: PROBLEMS,
			farelay_relay_closed_total: { ...PROBLEMS, client: "" },
			farelay_relay_door_refused_total: DOOR,
			farelay_relay_delayed_total: DELAYS,
			farelay_relay_dropped_total: DROPS,
		};
		let asked = 0;
		for (const name of WATCHING)
			for (const [, metric = "", , pattern = ""] of file(name).matchAll(
				/(farelay_relay_\w+)\{[^}]*\b(code|reason)=~?"([^"]+)"/g,
			))
				for (const one of pattern.split("|")) {
					asked++;
					const found = Object.keys(reasons[metric] ?? {}).some((reason) => new RegExp(`^${one}$`).test(reason));
					assert.ok(found, `${name} asks ${metric} for ${one}`);
				}
		assert.ok(asked >= 8);
	});

	test("has a dashboard whose queries name a relay and whose panels do not overlap", () => {
		type Panel = {
			title: string;
			targets?: { expr: string }[];
			gridPos: { x: number; y: number; w: number; h: number };
		};
		const { panels } = JSON.parse(file("docker/dashboard.json")) as { panels: Panel[] };
		const taken = new Set<string>();
		for (const { title, targets, gridPos } of panels) {
			for (const { expr } of targets ?? []) assert.match(expr, /\{job="\$job"\}/, title);
			for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
				for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
					assert.ok(x < 24 && !taken.has(`${x} ${y}`), `${title} overlaps`);
					taken.add(`${x} ${y}`);
				}
		}
	});
});

suite("the image", () => {
	const dockerfile = file("docker/Dockerfile");

	test("has the Node that the manifest pins, the relay's port, and both commands", () => {
		const { dependencies } = JSON.parse(file("package.json")) as { dependencies: Record<string, string> };
		assert.equal(/^ARG NODE=([\d.]+)-/m.exec(dockerfile)?.[1], dependencies.node);
		assert.equal(/^EXPOSE (\d+)$/m.exec(dockerfile)?.[1], String(RELAY_DEFAULTS.port));
		assert.match(dockerfile, new RegExp(`FARELAY_PORT=${RELAY_DEFAULTS.port} `));
		assert.match(dockerfile, /^CMD \["relay"\]$/m);
		assert.match(file("docker/compose.yml"), /command: \[market\]/);
	});

	test("runs as a user without rights, and says whether it is well", () => {
		assert.match(dockerfile, /^USER 1000:1000$/m);
		assert.match(dockerfile, /^HEALTHCHECK .* CMD \["node", "\/app\/docker\/health\.mjs"\]$/m);
	});

	test("is given what it copies, and nothing else goes to the builder", () => {
		const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, names = ""]) =>
			names.split(" "),
		);
		const given = [...file("docker/Dockerfile.dockerignore").matchAll(/^!(.+)$/gm)].map(([, name]) => name);
		assert.deepEqual([...new Set(copied)].sort(), given.sort());
	});
});

suite("compose", () => {
	const compose = file("docker/compose.yml");

	test("sets only what a relay or a market can be told", () => {
		const settings = [...Object.keys(RELAY_SETTINGS), ...Object.keys(MARKET_SETTINGS)].map(variableOf);
		const used = [compose, file("docker/env.example"), dockerfileEnv()].join("\n").match(/FARELAY_[A-Z_]+/g) ?? [];
		assert.ok(used.length > 15);
		for (const name of used) assert.ok(settings.includes(name.replace(/_FILE$/, "")), name);
	});

	test("gives the relay settings that it starts with", () => {
		const env = Object.fromEntries(
			[...file("docker/env.example").matchAll(/^(FARELAY_\w+)=(.*)$/gm)].map(([, name = "", value = ""]) => [
				name,
				value,
			]),
		);
		const caddy = /ipv4_address: (\S+)/.exec(compose)?.[1];
		const config = readRelayConfig({
			flags: {},
			env: {
				...env,
				FARELAY_OPERATOR: "ab".repeat(32),
				FARELAY_HOST: "0.0.0.0",
				FARELAY_PUBLIC_URL: "wss://relay.example.org",
				FARELAY_TRUST_PROXY: caddy,
			},
		});
		assert.ok(!isProblem(config), isProblem(config) ? config.detail : "");
	});

	test("has the relay believe Caddy's address, and no other", () => {
		const caddy = /ipv4_address: (\S+)/.exec(compose)?.[1];
		assert.equal(/FARELAY_TRUST_PROXY: (\S+)/.exec(compose)?.[1], caddy);
	});

	test("pins every image to a version", () => {
		const images = [...compose.matchAll(/^\s+image: (\S+)$/gm)].map(([, image]) => image);
		assert.ok(images.length >= 4);
		for (const image of images) assert.match(image ?? "", /:v?\d+\.\d+/);
	});

	function dockerfileEnv(): string {
		return file("docker/Dockerfile")
			.split("\n")
			.filter((line) => line.startsWith("ENV "))
			.join("\n");
	}
});
