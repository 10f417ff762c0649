throw new TypeError('no jobs today');
