import { memoryStorage } from "#sdk/storage";
import { acceptStorage } from "#test/acceptance/storage";

acceptStorage("memory", async () => memoryStorage());
