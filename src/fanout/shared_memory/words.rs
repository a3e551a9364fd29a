//! Structures of shared memory, made of atomic words; the type of each says who may write it.
//!
//! | kind of word | who writes it |
//! |---|---|
//! | [`Locked`], [`Link`] | who has the lock; anybody may read it |
//! | [`Written`] | who has made what it is of, before anybody else sees that |
//! | an atomic word | anybody, as the file says that owns it |

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};

/// What may stand in shared memory.
///
/// # Safety
/// It is made of atomic words alone, `repr(C)` or `repr(transparent)`: any bytes are a value of it, others may change
/// it at any time, and its alignment is that of a `u64` at most.
pub(in super::super) unsafe trait Shared: Sized {}

// SAFETY: it is an atomic word.
unsafe impl Shared for AtomicU32 {}
// SAFETY: it is an atomic word.
unsafe impl Shared for AtomicU64 {}
// SAFETY: it has no bytes.
unsafe impl<T> Shared for PhantomData<T> {}
// SAFETY: so are all elements.
unsafe impl<T: Shared, const COUNT: usize> Shared for [T; COUNT] {}

/// Declares structures of shared memory: each field is one that may stand there.
macro_rules! shared {
    ($(
        $(#[$meta:meta])*
        $vis:vis struct $name:ident $(<$($param:ident),+>)? {
            $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty,)*
        }
    )*) => {$(
        $(#[$meta])*
        #[repr(C)]
        $vis struct $name $(<$($param),+>)? {
            $($(#[$field_meta])* $field_vis $field: $type,)*
        }

        const _: () = {
            #[allow(dead_code)]
            fn fields_may_stand_there $(<$($param),+>)? () {
                fn may_stand_there<T: $crate::fanout::shared_memory::Shared>() {}
                $(may_stand_there::<$type>();)*
            }
        };

        // SAFETY: all fields may stand in shared memory, as was just checked.
        #[allow(unsafe_code)]
        unsafe impl $(<$($param),+>)? $crate::fanout::shared_memory::Shared for $name $(<$($param),+>)? {}
    )*};
}
pub(in super::super) use shared;

/// Proves that the lock is held: only who has it changes words of these kinds.
pub(in super::super) trait HasLock {
    /// A word is about to be changed.
    fn changes(&self);
}

/// Proves that nobody else has seen a message: only who has that writes what is written once.
pub(in super::super) trait IsUnpublished {}

/// A number that fills a word, or half of one.
pub(in super::super) trait Number: Copy + Default {
    type Atomic: Shared;
    fn load(word: &Self::Atomic) -> Self;
    fn store(word: &Self::Atomic, value: Self);
    fn plus(self, amount: Self) -> Self;
    fn minus(self, amount: Self) -> Self;
}

macro_rules! number {
    ($number:ty, $atomic:ty) => {
        impl Number for $number {
            type Atomic = $atomic;

            #[inline]
            fn load(word: &$atomic) -> Self {
                word.load(Relaxed)
            }

            #[inline]
            fn store(word: &$atomic, value: Self) {
                word.store(value, Release);
            }

            #[inline]
            fn plus(self, amount: Self) -> Self {
                self.wrapping_add(amount)
            }

            #[inline]
            fn minus(self, amount: Self) -> Self {
                debug_assert!(self >= amount, "{self} - {amount}");
                self.wrapping_sub(amount)
            }
        }
    };
}
number!(u32, AtomicU32);
number!(u64, AtomicU64);

/// A number that is changed with the lock alone, after all that was changed before. Anybody may read it.
#[repr(transparent)]
pub(in super::super) struct Locked<T: Number>(T::Atomic);

// SAFETY: it is an atomic word.
unsafe impl<T: Number> Shared for Locked<T> {}

impl<T: Number> Locked<T> {
    #[inline]
    pub(in super::super) fn get(&self) -> T {
        T::load(&self.0)
    }

    #[inline]
    pub(in super::super) fn set(&self, held: &impl HasLock, value: T) {
        held.changes();
        T::store(&self.0, value);
    }

    #[inline]
    pub(in super::super) fn add(&self, held: &impl HasLock, amount: T) {
        self.set(held, self.get().plus(amount));
    }

    /// Empties it before anybody else sees what it is of.
    #[inline]
    pub(in super::super) fn clear(&self, _: &impl IsUnpublished) {
        T::store(&self.0, T::default());
    }

    /// Takes away so much of it.
    #[inline]
    pub(in super::super) fn subtract(&self, held: &impl HasLock, amount: T) {
        self.set(held, self.get().minus(amount));
    }
}

/// A number that is written before anybody else sees what it is of, and never again.
#[repr(transparent)]
pub(in super::super) struct Written<T: Number>(T::Atomic);

// SAFETY: it is an atomic word.
unsafe impl<T: Number> Shared for Written<T> {}

impl<T: Number> Written<T> {
    #[inline]
    pub(in super::super) fn get(&self) -> T {
        T::load(&self.0)
    }

    #[inline]
    pub(in super::super) fn write(&self, _: &impl IsUnpublished, value: T) {
        T::store(&self.0, value);
    }
}

/// Where a structure stands in the memory.
pub(in super::super) struct At<T>(NonZeroU32, PhantomData<fn() -> T>);

impl<T> At<T> {
    /// That at this word, which is not the first one.
    #[inline]
    pub(in super::super) fn word(word: usize) -> Self {
        debug_assert!(word != 0 && u32::try_from(word).is_ok());
        Self(
            NonZeroU32::new(word as u32).unwrap_or(NonZeroU32::MAX),
            PhantomData,
        )
    }

    /// The number of its first word.
    #[inline]
    pub(in super::super) fn to_word(self) -> usize {
        self.0.get() as usize
    }
}

impl<T> Clone for At<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for At<T> {}

impl<T> PartialEq for At<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for At<T> {}

impl<T> Hash for At<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<T> fmt::Debug for At<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Leads to a structure, or to none. It is changed with the lock alone.
#[repr(transparent)]
pub(in super::super) struct Link<T>(Locked<u32>, PhantomData<fn() -> T>);

// SAFETY: it is an atomic word.
unsafe impl<T> Shared for Link<T> {}

impl<T> Link<T> {
    #[inline]
    pub(in super::super) fn get(&self) -> Option<At<T>> {
        NonZeroU32::new(self.0.get()).map(|word| At(word, PhantomData))
    }

    #[inline]
    pub(in super::super) fn set(&self, held: &impl HasLock, to: Option<At<T>>) {
        self.0.set(held, to.map_or(0, |to| to.0.get()));
    }

    /// Lets it lead to nothing before anybody else sees what it is of.
    #[inline]
    pub(in super::super) fn clear(&self, unpublished: &impl IsUnpublished) {
        self.0.clear(unpublished);
    }
}
