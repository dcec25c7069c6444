/** The market's tRPC surface, one router for each kind of caller. The SDK takes the type and nothing else. */

import { market } from "./anyone.ts";
import { ask } from "./ask.ts";
import { commons } from "./commons.ts";
import { desk } from "./desk.ts";
import { funding } from "./funding.ts";
import { gift } from "./gifts.ts";
import { home } from "./homes.ts";
import { operator } from "./operators.ts";
import { code, enroller, pass, tokens } from "./passes.ts";
import { account, tab } from "./people.ts";
import { pool } from "./pools.ts";
import { router } from "./trpc.ts";

export const appRouter = router({
	market,
	account,
	tab,
	funding,
	home,
	operator,
	pass,
	code,
	enroller,
	tokens,
	gift,
	ask,
	desk,
	pool,
	commons,
});

export type AppRouter = typeof appRouter;
