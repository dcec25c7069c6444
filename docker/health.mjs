// @ts-check
/** Ends with 0 while the service in this container says that it can do its work. */
const port = process.env.FARELAY_PORT ?? "8470";
try {
	const answer = await fetch(`http://127.0.0.1:${port}/health`, { signal: AbortSignal.timeout(4_000) });
	if (!answer.ok) console.error(await answer.text());
	process.exitCode = answer.ok ? 0 : 1;
} catch (error) {
	console.error(`no answer on port ${port}: ${error instanceof Error ? error.message : error}`);
	process.exitCode = 1;
}
