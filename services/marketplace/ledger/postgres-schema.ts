/**
 * The ledger's tables in Postgres, and the one function that changes them (docs/decisions/postgres.md). The database itself refuses an
 * overdraft and a second transfer under one id. Texts are compared byte by byte, as SQLite does.
 */

/** Whose turn it is to change the ledger: a lock of the database's by this number. */
const TURN = 1_179_797_580;

/**
 * One call applies a batch, in order, each change by itself. It decides in memory on what it read, and writes once at the end: each row that
 * it writes is held against what it read, so that whoever changed it meanwhile in any other way has the whole call done again.
 *
 * Calls take turns: nearly every transfer touches the market's fees, so they would anyway, and this way positions rise in the order in which
 * transfers are seen, and nobody waits for anybody in a circle. What a call answered is kept with what it did, under the call's name: who
 * asks again, because the first answer was lost, gets that answer, and a call that comes late does nothing.
 */
const APPLY = `CREATE FUNCTION "applyChanges1" (
	call text,
	firsts int[], ids text[], causes text[], times bigint[], digests text[], prints int[],
	names text[], floors bigint[],
	"entryEnds" int[], "entryChanges" int[], "entryNs" int[], "entryAccounts" int[], nanos bigint[],
	"askKinds" text[], "askOwners" text[], "askStates" text[],
	kinds text[], keys text[],
	"rowEnds" int[], "rowOf" int[], "rowKinds" text[], "rowKeys" text[], expects bigint[],
	owners text[], relays text[], states text[], dues bigint[], "values" text[],
	"gainEnds" int[], gains int[], "ownAsks" int[], "ownMosts" int[], "allAsks" int[], "allMosts" int[]
) RETURNS int[] LANGUAGE plpgsql
-- whatever the statistics say of a table that was empty a moment ago, each of these rows is found by its index
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $apply$
DECLARE
	most CONSTANT bigint := 9223372036854775807;
	answer int[];
	changes int := coalesce(array_length("entryEnds", 1), 0);
	rows int := coalesce(array_length("rowOf", 1), 0);
	asks int := coalesce(array_length("askKinds", 1), 0);
	numbers bigint[]; before bigint[]; balances bigint[]; touched boolean[];
	known int[]; applied int[] := array_fill(0, ARRAY[changes]);
	positions bigint[] := array_fill(0::bigint, ARRAY[changes]); last bigint;
	"versionsBefore" bigint[]; versions bigint[]; latest int[]; previous int[] := array_fill(0, ARRAY[rows]);
	"rowBefores" bigint[] := array_fill(0::bigint, ARRAY[rows]); "rowVersions" bigint[] := array_fill(0::bigint, ARRAY[rows]);
	"oldOwners" text[]; "oldStates" text[]; "oldEnds" int[]; olds int[] := '{}'; counts bigint[];
	a int; k int; d bigint; from_ int; said int; plain boolean := true; n bigint; wanted bigint;
BEGIN
	PERFORM pg_advisory_xact_lock(${TURN});
	SELECT c.answer INTO answer FROM "ledgerCalls" c WHERE c.call = "applyChanges1".call;
	IF FOUND THEN RETURN answer; END IF;
	answer := array_fill(0, ARRAY[changes]);

	-- what there is
	SELECT array_agg(f.id ORDER BY w.n), array_agg(coalesce(f.balance, 0) ORDER BY w.n), array_agg(false) INTO numbers, before, touched
		FROM unnest(names) WITH ORDINALITY w (name, n) LEFT JOIN accounts f ON f.name = w.name;
	balances := before;
	SELECT array_agg(CASE WHEN t.digest IS NULL THEN 0 WHEN t.digest = w.digest THEN 1 ELSE 2 END ORDER BY w.n) INTO known
		FROM unnest(ids, digests) WITH ORDINALITY w (id, digest, n) LEFT JOIN transfers t ON t.id = w.id;
	SELECT array_agg(coalesce(t.version, r.version, 0) ORDER BY w.n), array_agg(0), array_agg(coalesce(t.account, r.account) ORDER BY w.n),
			array_agg(coalesce(t.state, r.state) ORDER BY w.n) INTO "versionsBefore", latest, "oldOwners", "oldStates"
		FROM unnest(kinds, keys) WITH ORDINALITY w (kind, key, n)
		LEFT JOIN tabs t ON w.kind = 'tabs' AND t.tab = w.key LEFT JOIN records r ON r.kind = w.kind AND r.key = w.key;
	versions := "versionsBefore";
	SELECT coalesce(max(position), 0) INTO last FROM transfers;
	-- and how many rows are in states of which there is a bound; twice as many are counted as any bound may be
	SELECT array_agg(CASE
			WHEN w.kind = 'tabs' AND w.owner = '' THEN
				(SELECT count(*) FROM (SELECT 1 FROM tabs t WHERE t.state = ANY (string_to_array(w.states, ' ')) LIMIT 20000) c)
			WHEN w.kind = 'tabs' THEN
				(SELECT count(*) FROM (SELECT 1 FROM tabs t WHERE t.account = w.owner AND t.state = ANY (string_to_array(w.states, ' ')) LIMIT 20000) c)
			WHEN w.owner = '' THEN
				(SELECT count(*) FROM (SELECT 1 FROM records r WHERE r.kind = w.kind AND r.state = ANY (string_to_array(w.states, ' ')) LIMIT 20000) c)
			ELSE (SELECT count(*) FROM (SELECT 1 FROM records r WHERE r.kind = w.kind AND r.account = w.owner
				AND r.state = ANY (string_to_array(w.states, ' ')) LIMIT 20000) c) END ORDER BY w.n) INTO counts
		FROM unnest("askKinds", "askOwners", "askStates") WITH ORDINALITY w (kind, owner, states, n);
	IF asks > 0 THEN
		FOR k IN 1..coalesce(array_length(kinds, 1), 0) LOOP
			FOR a IN 1..CASE WHEN "versionsBefore"[k] > 0 THEN asks ELSE 0 END LOOP
				IF "askKinds"[a] = kinds[k] AND "askOwners"[a] IN ('', "oldOwners"[k]) AND "oldStates"[k] = ANY (string_to_array("askStates"[a], ' '))
				THEN olds := olds || a; END IF;
			END LOOP;
			"oldEnds"[k] := coalesce(array_length(olds, 1), 0);
		END LOOP;
	END IF;

	-- what becomes of it, change by change
	FOR i IN 1..changes LOOP
		said := 0;
		from_ := coalesce("entryEnds"[i - 1], 0) + 1;
		IF firsts[i] > 0 THEN
			IF known[i] > 0 THEN said := known[i];
			ELSIF applied[firsts[i]] > 0 THEN said := CASE WHEN applied[firsts[i]] = prints[i] THEN 1 ELSE 2 END;
			ELSE
				FOR j IN from_.."entryEnds"[i] LOOP
					a := "entryAccounts"[j];
					d := nanos[j];
					-- neither side of the comparison can leave 64 bits
					IF (d > 0 AND balances[a] > most - d) OR (d < 0 AND balances[a] < floors[a] - d) THEN
						said := 1000000 + "entryNs"[j];
						EXIT;
					END IF;
				END LOOP;
			END IF;
		END IF;
		IF said = 0 THEN
			FOR j IN coalesce("rowEnds"[i - 1], 0) + 1.."rowEnds"[i] LOOP
				k := "rowOf"[j];
				IF versions[k] <> expects[j] THEN said := 2000000 + j; END IF;
				EXIT WHEN said > 0;
				previous[j] := latest[k];
				latest[k] := j;
				versions[k] := expects[j] + 1;
				IF asks = 0 THEN CONTINUE; END IF;
				IF previous[j] > 0 THEN
					FOR g IN coalesce("gainEnds"[previous[j] - 1], 0) + 1.."gainEnds"[previous[j]] LOOP counts[gains[g]] := counts[gains[g]] - 1; END LOOP;
				ELSE
					FOR g IN coalesce("oldEnds"[k - 1], 0) + 1.."oldEnds"[k] LOOP counts[olds[g]] := counts[olds[g]] - 1; END LOOP;
				END IF;
				FOR g IN coalesce("gainEnds"[j - 1], 0) + 1.."gainEnds"[j] LOOP counts[gains[g]] := counts[gains[g]] + 1; END LOOP;
				IF "ownAsks"[j] > 0 AND (counts["ownAsks"[j]] > "ownMosts"[j] OR ("allAsks"[j] > 0 AND counts["allAsks"[j]] > "allMosts"[j]))
				THEN said := 3000000 + j; END IF;
				EXIT WHEN said > 0;
			END LOOP;
			IF said > 0 THEN
				-- what it wrote is undone, the last first: it may have written one row twice
				FOR j IN REVERSE said % 1000000 - CASE WHEN said < 3000000 THEN 1 ELSE 0 END..coalesce("rowEnds"[i - 1], 0) + 1 LOOP
					k := "rowOf"[j];
					versions[k] := expects[j];
					latest[k] := previous[j];
					IF asks = 0 THEN CONTINUE; END IF;
					FOR g IN coalesce("gainEnds"[j - 1], 0) + 1.."gainEnds"[j] LOOP counts[gains[g]] := counts[gains[g]] - 1; END LOOP;
					IF previous[j] > 0 THEN
						FOR g IN coalesce("gainEnds"[previous[j] - 1], 0) + 1.."gainEnds"[previous[j]] LOOP counts[gains[g]] := counts[gains[g]] + 1; END LOOP;
					ELSE
						FOR g IN coalesce("oldEnds"[k - 1], 0) + 1.."oldEnds"[k] LOOP counts[olds[g]] := counts[olds[g]] + 1; END LOOP;
					END IF;
				END LOOP;
				said := said - coalesce("rowEnds"[i - 1], 0) - 1;
			END IF;
		END IF;
		IF said > 0 THEN
			answer[i] := said;
			plain := false;
		ELSIF firsts[i] > 0 THEN
			applied[firsts[i]] := prints[i];
			last := last + 1;
			positions[i] := last;
			FOR j IN from_.."entryEnds"[i] LOOP
				a := "entryAccounts"[j];
				balances[a] := balances[a] + nanos[j];
				touched[a] := true;
			END LOOP;
		END IF;
	END LOOP;

	-- all of it at once
	INSERT INTO transfers (position, id, cause, "atMs", digest)
		SELECT w.position, w.id, w.cause, w."atMs", w.digest
		FROM unnest(positions, ids, causes, times, digests) w (position, id, cause, "atMs", digest) WHERE w.position > 0;
	SELECT count(*) INTO wanted FROM unnest(numbers, before, balances) w (id, before, after) WHERE w.id IS NOT NULL AND w.before <> w.after;
	UPDATE accounts f SET balance = w.after FROM unnest(numbers, before, balances) w (id, before, after)
		WHERE f.id = w.id AND f.balance = w.before AND w.before <> w.after;
	GET DIAGNOSTICS n = ROW_COUNT;
	IF n <> wanted THEN RAISE serialization_failure USING MESSAGE = 'an account was changed beside the ledger'; END IF;
	INSERT INTO accounts (name, floor, balance) SELECT w.name, w.floor, w.after
		FROM unnest(names, floors, numbers, balances, touched) w (name, floor, id, after, touched) WHERE w.id IS NULL AND w.touched;
	GET DIAGNOSTICS n = ROW_COUNT;
	IF n > 0 THEN
		SELECT array_agg(f.id ORDER BY w.n) INTO numbers FROM unnest(names) WITH ORDINALITY w (name, n) LEFT JOIN accounts f ON f.name = w.name;
	END IF;
	INSERT INTO entries (transfer, n, account, nanos)
		SELECT positions[w.change], w.n, numbers[w.account], w.nanos
		FROM unnest("entryChanges", "entryNs", "entryAccounts", nanos) w (change, n, account, nanos) WHERE positions[w.change] > 0;
	wanted := 0;
	FOR k IN 1..coalesce(array_length(latest, 1), 0) LOOP
		IF latest[k] > 0 THEN
			"rowVersions"[latest[k]] := versions[k];
			"rowBefores"[latest[k]] := "versionsBefore"[k];
			wanted := wanted + 1;
		END IF;
	END LOOP;
	IF wanted > 0 THEN
		INSERT INTO tabs (tab, version, account, relay, state, "deadlineMs", value)
			SELECT w.key, w.version, w.owner, w.relay, w.state, w.due, w.value
			FROM ROWS_AS_WRITTEN
			WHERE w.version > 0 AND w.kind = 'tabs' AND w.before = 0;
		GET DIAGNOSTICS n = ROW_COUNT;
		wanted := wanted - n;
		UPDATE tabs t SET version = w.version, account = w.owner, relay = w.relay, state = w.state, "deadlineMs" = w.due, value = w.value
			FROM ROWS_AS_WRITTEN
			WHERE w.version > 0 AND w.kind = 'tabs' AND t.tab = w.key AND t.version = w.before;
		GET DIAGNOSTICS n = ROW_COUNT;
		wanted := wanted - n;
		INSERT INTO records (kind, key, version, account, state, "dueMs", value)
			SELECT w.kind, w.key, w.version, w.owner, w.state, w.due, w.value
			FROM ROWS_AS_WRITTEN
			WHERE w.version > 0 AND w.kind <> 'tabs' AND w.before = 0;
		GET DIAGNOSTICS n = ROW_COUNT;
		wanted := wanted - n;
		UPDATE records r SET version = w.version, account = w.owner, state = w.state, "dueMs" = w.due, value = w.value
			FROM ROWS_AS_WRITTEN
			WHERE w.version > 0 AND w.kind <> 'tabs' AND r.kind = w.kind AND r.key = w.key AND r.version = w.before;
		GET DIAGNOSTICS n = ROW_COUNT;
		IF n <> wanted THEN RAISE serialization_failure USING MESSAGE = 'a row was changed beside the ledger'; END IF;
	END IF;

	IF plain THEN answer := '{}'; END IF;
	INSERT INTO "ledgerCalls" (call, answer) VALUES (call, answer);
	-- longer than any call can be on its way; a few each time, so that no call pays for many
	DELETE FROM "ledgerCalls" c WHERE c.call IN
		(SELECT o.call FROM "ledgerCalls" o WHERE o.at < now() - interval '1 hour' ORDER BY o.at LIMIT 4);
	RETURN answer;
END $apply$`.replaceAll(
	"ROWS_AS_WRITTEN",
	`unnest("rowKinds", "rowKeys", "rowBefores", "rowVersions", owners, relays, states, dues, "values")
				w (kind, key, before, version, owner, relay, state, due, value)`,
);

/** Raises the schema, one step each; only ever appended to. */
export const LEDGER_STEPS: readonly string[] = [
	`CREATE TABLE accounts (
		id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
		name text COLLATE "C" NOT NULL UNIQUE,
		floor bigint NOT NULL CHECK (floor = 0 OR substr(name, 1, 6) = 'world:'),
		balance bigint NOT NULL CHECK (balance >= floor)
	) WITH (fillfactor = 50);
	CREATE TABLE transfers (
		position bigint PRIMARY KEY,
		id text COLLATE "C" NOT NULL UNIQUE,
		cause text NOT NULL,
		"atMs" bigint NOT NULL,
		digest text NOT NULL CHECK (length(digest) = 64)
	);
	CREATE TABLE entries (
		transfer bigint NOT NULL,
		n int NOT NULL,
		account bigint NOT NULL,
		nanos bigint NOT NULL CHECK (nanos <> 0),
		PRIMARY KEY (transfer, n)
	);
	CREATE UNIQUE INDEX "entriesOfAccount" ON entries (account, transfer);
	CREATE TABLE tabs (
		tab text COLLATE "C" PRIMARY KEY,
		version bigint NOT NULL CHECK (version >= 1),
		account text COLLATE "C" NOT NULL,
		relay text COLLATE "C" NOT NULL,
		state text COLLATE "C" NOT NULL,
		"deadlineMs" bigint NOT NULL,
		value text NOT NULL
	) WITH (fillfactor = 80);
	CREATE INDEX "tabsOfAccount" ON tabs (account, tab);
	CREATE INDEX "tabsOfRelay" ON tabs (relay, tab);
	CREATE INDEX "tabsByDeadline" ON tabs (state, "deadlineMs", tab);`,
	`CREATE TABLE records (
		kind text COLLATE "C" NOT NULL,
		key text COLLATE "C" NOT NULL,
		version bigint NOT NULL CHECK (version >= 1),
		account text COLLATE "C" NOT NULL,
		state text COLLATE "C" NOT NULL,
		"dueMs" bigint NOT NULL,
		value text NOT NULL,
		PRIMARY KEY (kind, key)
	) WITH (fillfactor = 80);
	CREATE INDEX "recordsOfAccount" ON records (kind, account, key);
	CREATE INDEX "recordsInState" ON records (kind, state, key);
	CREATE INDEX "recordsByDue" ON records (kind, state, "dueMs", key);`,
	`CREATE TABLE "ledgerCalls" (
		call text COLLATE "C" PRIMARY KEY,
		answer int[] NOT NULL,
		at timestamptz NOT NULL DEFAULT now()
	);
	CREATE INDEX "ledgerCallsByTime" ON "ledgerCalls" (at);
	CREATE INDEX "tabsOfAccountInState" ON tabs (account, state);
	CREATE INDEX "recordsOfAccountInState" ON records (kind, account, state);
	${APPLY}`,
	// what was pruned, and what accounts carry on from it
	`CREATE TABLE prunings (
		"upTo" bigint PRIMARY KEY CHECK ("upTo" > since),
		since bigint NOT NULL UNIQUE,
		"atMs" bigint NOT NULL,
		chain text NOT NULL,
		carried text NOT NULL
	);
	CREATE TABLE carried (
		account bigint PRIMARY KEY,
		balance bigint NOT NULL,
		gone bigint NOT NULL
	);`,
];
