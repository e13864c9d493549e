export { type LoadBackboneOptions, loadBackbone } from "./load.ts";
export {
  type CachedBackbone,
  type LocateOptions,
  listCachedBackbones,
  locateBackbone,
  removeCachedBackbone,
} from "./locate.ts";
export * from "./portable.ts";
