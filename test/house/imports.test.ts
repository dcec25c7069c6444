import assert from "node:assert/strict";
import { test } from "node:test";
import { blank, importsOf, resolve } from "#scripts/imports";

const froms = (source: string) => importsOf(source).map(({ from }) => from);

test("every form of import is seen", () => {
	const source = [
		'import "a";',
		'import b from "b";',
		'import * as c from "c";',
		"import {\n\td,\n\ttype D,\n} from 'd';",
		'import e, { f } from "e";',
		'export * from "f";',
		'export { g as h } from "g";',
		'const h = await import("h");',
		'new Worker(new URL("./i.ts", import.meta.url));',
	].join("\n");
	assert.deepEqual(new Set(froms(source)), new Set(["a", "b", "c", "d", "e", "f", "g", "h", "./i.ts"]));
});

test("what is erased before it runs is told apart from what runs", () => {
	const types = (source: string) => importsOf(source).map(({ typeOnly }) => typeOnly);
	assert.deepEqual(types('import type { A } from "a";'), [true]);
	assert.deepEqual(types('import { type A, b } from "a";'), [false]);
	assert.deepEqual(types('export type { A } from "a";'), [true]);
	assert.deepEqual(types('import { type A } from "a";'), [false], "the file still runs");
	assert.deepEqual(types('import type from "a";'), [false], "a default import may be called type");
});

test("comments and strings hold no imports", () => {
	assert.deepEqual(froms('// import "a";\n/* import "b"; */\nconst c = `\nimport "d";\n`;'), []);
	assert.deepEqual(froms(`const source = 'import "a";';`), []);
	assert.deepEqual(froms(`const source = \`\${x("\`")}\nimport "a";\n\`;\nimport "b";`), ["b"]);
});

test("an apostrophe, a pattern with a quote and a division do not hide what follows", () => {
	assert.deepEqual(froms(`const a = <p>Don't</p>;\nimport "b";`), ["b"]);
	assert.deepEqual(froms(`const a = /["'\`]/.test(b);\nimport "b";`), ["b"]);
	assert.deepEqual(froms(`const f = () => {\n\treturn /[/"]/;\n};\nimport "b";`), ["b"]);
	assert.deepEqual(froms(`const a = b / c; const d = "x / y";\nimport "b";`), ["b"]);
});

test("blanking keeps every position", () => {
	const source = 'const a = "x\\"y"; // why\n/* two\nlines */ const b = `$a`;\n';
	const hollow = blank(source, { strings: true });
	assert.equal(hollow.length, source.length);
	assert.equal(hollow, 'const a = "    ";       \n      \n         const b = `  `;\n');
});

test("an import is found by the manifest's map or beside its importer", () => {
	const map = { "#relay/*": "./services/relay/*.ts" };
	assert.equal(resolve("test/a.test.ts", "#relay/mailbox/store", map), "services/relay/mailbox/store.ts");
	assert.equal(resolve("services/relay/a.ts", "./b.ts", map), "services/relay/b.ts");
	assert.equal(resolve("services/relay/a.ts", "ws", map), undefined);
});
