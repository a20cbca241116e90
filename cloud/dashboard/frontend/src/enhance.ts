import { mountIslands } from "./islands";
import { localise } from "./localise";
import { makeMenus } from "./menu";

/** For what has just come into the page; everything else listens at the document. */
export function enhance(root: ParentNode): void {
  makeMenus(root);
  localise(root);
  mountIslands(root);
}
