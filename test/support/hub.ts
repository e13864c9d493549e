export { type HubServer, startHub } from "../../tools/proofs/support/hub.mjs";
