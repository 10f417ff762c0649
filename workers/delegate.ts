/** Gives a class all members of a standard one that it does not have itself: they act on the standard object. */
export function delegate(prototype: object, standard: object, standardOf: (self: unknown) => object): void {
  for (const [name, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(standard))) {
    if (name === 'constructor' || Object.hasOwn(prototype, name)) continue;
    Object.defineProperty(prototype, name, {
      configurable: true,
      enumerable: true,
      ...(typeof descriptor.value === 'function'
        ? {
            value(this: unknown, ...args: unknown[]): unknown {
              return descriptor.value.apply(standardOf(this), args);
            },
          }
        : {
            get(this: unknown): unknown {
              return descriptor.get?.call(standardOf(this));
            },
          }),
    });
  }
  Object.setPrototypeOf(prototype, standard);
}
