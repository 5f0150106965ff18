// Stands in for modules that libraries name but an image reading canvas never calls: an XML writer for
// saving scenes (vtk.js) and Node's file system (the codecs' glue, which checks for Node first).
export const create = () => {
  throw new Error('not part of the image reading canvas');
};
export default { create };
