/** The mailbox's tables. Migrations are only ever appended to (`host/database.ts`). */

/** What the file says it is. */
export const MAIL_KIND = "mailbox";

/** `mail.position` is the order of everything; its indices serve reading and counting, expiry, and dedupe, in this order. */
export const MAIL_MIGRATIONS: readonly string[] = [
	`
	CREATE TABLE epoch (n INTEGER NOT NULL) STRICT;
	INSERT INTO epoch VALUES (0);

	CREATE TABLE mailboxes (
		id INTEGER PRIMARY KEY,
		mailbox TEXT NOT NULL UNIQUE,
		tokenHash BLOB,
		droppedTtl INTEGER NOT NULL DEFAULT 0 CHECK (droppedTtl >= 0),
		droppedQuota INTEGER NOT NULL DEFAULT 0 CHECK (droppedQuota >= 0),
		seenMs INTEGER NOT NULL
	) STRICT;
	CREATE INDEX mailboxesBySeen ON mailboxes (seenMs, mailbox);

	CREATE TABLE tags (
		id INTEGER PRIMARY KEY,
		tag TEXT NOT NULL UNIQUE,
		ranges BLOB NOT NULL,
		untilMs INTEGER NOT NULL
	) STRICT;
	CREATE INDEX tagsByUntil ON tags (untilMs, tag);

	CREATE TABLE mail (
		position INTEGER PRIMARY KEY,
		box INTEGER NOT NULL REFERENCES mailboxes (id),
		expiresAtMs INTEGER NOT NULL,
		byCard INTEGER NOT NULL CHECK (byCard IN (0, 1)),
		bytes INTEGER NOT NULL,
		tag INTEGER NOT NULL REFERENCES tags (id),
		seq INTEGER NOT NULL,
		print INTEGER NOT NULL,
		payload BLOB NOT NULL
	) STRICT;
	-- covers the count at opening, which so reads no payload
	CREATE INDEX mailByBox ON mail (box, position, byCard, bytes);
	CREATE INDEX mailByExpiry ON mail (expiresAtMs);
	CREATE INDEX mailByTag ON mail (tag, seq);
	`,
	`
	-- what a device has acknowledged: all up to \`cursor\` but the positions in \`holes\` (mailbox/place.ts); kept only while there are several
	CREATE TABLE devices (
		id INTEGER PRIMARY KEY,
		box INTEGER NOT NULL REFERENCES mailboxes (id) ON DELETE CASCADE,
		device TEXT NOT NULL,
		seenMs INTEGER NOT NULL,
		cursor INTEGER NOT NULL DEFAULT 0,
		holes BLOB NOT NULL DEFAULT x'',
		droppedTtl INTEGER NOT NULL CHECK (droppedTtl >= 0),
		droppedQuota INTEGER NOT NULL CHECK (droppedQuota >= 0),
		UNIQUE (box, device)
	) STRICT;
	CREATE INDEX devicesBySeen ON devices (seenMs, device);
	-- 1 while there may be mail that was kept for a device given up; what is lost while there is no device is counted above
	ALTER TABLE mailboxes ADD COLUMN trim INTEGER NOT NULL DEFAULT 0 CHECK (trim IN (0, 1));
	CREATE INDEX mailboxesToTrim ON mailboxes (mailbox) WHERE trim = 1;
	`,
];
